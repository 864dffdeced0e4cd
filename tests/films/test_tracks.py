"""HOTA, IDF1 and MOTA of cases worked by hand."""

import json
import math

import jsonschema
import pytest

import masu
from masu.errors import InputError
from tests.films.scenes import Finder, box, film, scene


def mot(path, rows):
    path.write_text("".join(f"{','.join(map(str, row))}\n" for row in rows))
    return path


TRUTH = [(frame, 1, 10, 10, 20, 20, 1, 1, 1) for frame in range(1, 5)]


def measured(tmp_path, found, truth=TRUTH):
    return masu.evaluate_tracks(mot(tmp_path / "found.txt", found), mot(tmp_path / "gt.txt", truth))


def test_all_right_is_all_ones(tmp_path):
    one = measured(tmp_path, TRUTH)
    assert (one.hota, one.deta, one.assa, one.loca, one.idf1, one.mota, one.motp) == pytest.approx((1,) * 7)
    assert (one.frames, one.objects, one.tracks, one.switches, one.misses, one.false_alarms) == (
        4,
        1,
        1,
        0,
        0,
        0,
    )


def test_a_number_that_changes_once(tmp_path):
    """Four boxes, numbers 1 1 2 2: MOTA 1 − 1/4; IDTP 2 of 4 and 4; each box is with 2 of 4 others: AssA ½."""
    one = measured(tmp_path, [(f, 7 if f < 3 else 9, 10, 10, 20, 20, 0.9, -1, -1, -1) for f in range(1, 5)])
    assert (one.mota, one.idf1, one.switches, one.tracks) == (0.75, 0.5, 1, 2)
    assert (one.deta, one.assa) == pytest.approx((1, 0.5))
    assert one.hota == pytest.approx(math.sqrt(0.5))


def test_a_miss_and_a_false_alarm(tmp_path):
    """3 of 4 found and one box beside: MOTA 1 − 2/4; IDF1 2·3/(4+4); DetA 3/5; AssA 3/4 (one frame lost)."""
    one = measured(tmp_path, [*TRUTH[:3], (4, 5, 200, 200, 20, 20, 1)])
    assert (one.mota, one.idf1, one.recall, one.precision) == (0.5, 0.75, 0.75, 0.75)
    assert (one.misses, one.false_alarms, one.switches) == (1, 1, 0)
    assert (one.deta, one.assa) == pytest.approx((3 / 5, 3 / 4))


def test_boxes_that_lie_beside_their_object_count_for_small_iou_alone(tmp_path):
    """IoU 1/3 (shifted by half): right for 6 of HOTA's 19 thresholds (0.05 … 0.30), wrong at 0.5."""
    one = measured(tmp_path, [(f, 1, 20, 10, 20, 20, 1) for f in range(1, 5)])
    assert (one.mota, one.idf1, one.recall) == (-1, 0, 0)
    assert one.hota == pytest.approx(6 / 19)


def test_rows_that_do_not_count(tmp_path):
    """A row with a 0 is no object; what is found on a mirror (class 12) is no false alarm, on a car it is one."""
    for kind, alarms in ((12, 0), (3, 1)):
        truth = [*TRUTH, (1, 2, 100, 100, 20, 20, 0, kind, 1)]
        one = measured(tmp_path, [*TRUTH, (1, 8, 100, 100, 20, 20, 1)], truth)
        assert (one.objects, one.false_alarms, one.misses) == (1, alarms, 0)


def test_boxes_of_no_object_are_left_out(tmp_path):
    one = measured(tmp_path, [*TRUTH, *[(f, -1, 50, 50, 9, 9, 0.5) for f in (1, 1, 2)]])
    assert (one.tracks, one.false_alarms) == (1, 0)


def test_nothing_found(tmp_path):
    one = measured(tmp_path, [])
    assert (one.hota, one.idf1, one.mota, one.misses, one.tracks) == (0, 0, 0, 4, 0)


def test_a_folder_of_the_challenge(tmp_path):
    (tmp_path / "MOT17-02" / "gt").mkdir(parents=True)
    mot(tmp_path / "MOT17-02" / "gt" / "gt.txt", TRUTH)
    assert masu.evaluate_tracks(mot(tmp_path / "a.txt", TRUTH), tmp_path / "MOT17-02").hota == pytest.approx(
        1
    )


def test_from_a_film_to_its_figures(run, tmp_path):
    """Three squares, ten frames, found exactly; the first frame has no numbers yet: 27 of 30 boxes."""
    path = film(tmp_path / "walk.mkv", [scene(number) for number in range(10)])
    report = masu.detect_film(Finder(), path, tmp_path, to="mot", track=True, pictures=False)
    rows = [
        (number + 1, colour, box(colour, number)[0] + 1, box(colour, number)[1] + 1, 12, 12, 1, 1, 1)
        for number in range(10)
        for colour in range(3)
    ]
    truth = mot(tmp_path / "gt.txt", rows)
    one = masu.evaluate_tracks(report.file, truth)
    assert (one.mota, one.recall, one.precision, one.switches) == (0.9, 0.9, 1, 0)
    assert one.idf1 == pytest.approx(2 * 27 / (30 + 27))
    code, out, error = run("evaluate", report.file, truth, "--tracks", "--json")
    assert (code, error) == (0, "")
    said = json.loads(out)
    assert said["mota"] == 0.9
    jsonschema.validate(said, json.loads(run("schema", "evaluate-tracks")[1]))
    code, out, _ = run("evaluate", report.file, truth, "--tracks")
    assert (code, "idf1" in out, "0.900" in out) == (0, True, True)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ("a,b", 1),
        ("1,1,0,0,5", 1),
        ("0,1,0,0,5,5", 1),
        ("1.5,1,0,0,5,5", 1),
        ("1,1,0,0,-5,5", 1),
        ("1,1,nan,0,5,5", 1),
        ("1,1,0,0,5,5\n\n2,1,0,0,inf,5", 3),
        ("1e300,1,0,0,5,5", 1),
    ],
)
def test_a_row_that_is_none_is_named_with_its_line(tmp_path, row, line):
    path = tmp_path / "found.txt"
    path.write_text(row)
    with pytest.raises(InputError) as caught:
        masu.evaluate_tracks(path, mot(tmp_path / "gt.txt", TRUTH))
    assert caught.value.thing == f"{path}, line {line}"
    assert "\n" not in str(caught.value)


def test_what_cannot_be_measured(tmp_path):
    truth = mot(tmp_path / "gt.txt", TRUTH)
    with pytest.raises(InputError, match="object 1 twice in frame 2"):
        measured(tmp_path, [*TRUTH, TRUTH[1]])
    with pytest.raises(InputError, match="no object that counts"):
        measured(tmp_path, TRUTH, [(1, 1, 0, 0, 5, 5, 0)])
    with pytest.raises(InputError) as caught:
        masu.evaluate_tracks(tmp_path / "no.txt", truth)
    assert caught.value.code == "missing-file"
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError):
        masu.evaluate_tracks(tmp_path / "b.txt", truth)


@pytest.mark.parametrize(
    "options",
    [["--split", "val"], ["--funnel"], ["--report", "a.html"], ["--batch-size", 1], ["--by", "size"]],
)
def test_options_of_models_are_refused(run, tmp_path, options):
    code, out, error = run("evaluate", "a.txt", "b.txt", "--tracks", *options)
    assert (code, out) == (2, "")
    assert error.startswith(f"masu: error: {options[0]}: found with --tracks, which measures")
