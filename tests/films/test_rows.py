"""Rows and drawn films, from Python and the command line."""

import csv
import io
import json
import tracemalloc
from dataclasses import replace

import av
import numpy as np
import pyarrow.parquet
import pytest

import masu
from masu.errors import InputError
from masu.films.drawn import even
from masu.films.rows import CSV_COLUMNS, mot_text
from masu.films.watching import Seen
from tests.films.scenes import Finder, box, film, scene

TIMES = [0, 0.1, 0.2, 0.5, 0.6, 0.7]


@pytest.fixture
def path(tmp_path):
    return film(tmp_path / "walk.mkv", [scene(number) for number in range(6)], times=TIMES)


def test_json_lines_hold_a_line_for_each_frame(path, tmp_path):
    report = masu.detect_film(Finder(), path, tmp_path / "out", track=True)
    lines = [json.loads(line) for line in report.file.read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(6))
    assert [line["seconds"] for line in lines] == TIMES
    assert lines[2] == {
        "film": str(path),
        "frame": 2,
        "seconds": 0.2,
        "width": 120,
        "height": 80,
        "detections": [
            {"box": box(0, 2), "score": 0.9, "label": 0, "name": "red", "track": 1},
            {"box": box(1, 2), "score": 0.89, "label": 1, "name": "green", "track": 2},
            {"box": box(2, 2), "score": 0.88, "label": 2, "name": "blue", "track": 3},
        ],
    }
    assert (report.frames, report.detections, report.tracks, report.seconds) == (6, 18, 3, 0.7)
    assert (report.file.name, report.drawn.name, report.faults) == ("walk.jsonl", "walk.mp4", ())
    assert json.loads(json.dumps(report.as_dict()))["drawn"].endswith("walk.mp4")


def test_csv_and_parquet_hold_the_same_rows(path, tmp_path):
    for to in ("csv", "parquet"):
        masu.detect_film(Finder(), path, tmp_path, to=to, track=True, pictures=False)
    table = pyarrow.parquet.read_table(tmp_path / "walk.parquet")
    assert tuple(table.column_names) == CSV_COLUMNS
    rows = list(csv.reader((tmp_path / "walk.csv").read_text().splitlines()))
    assert tuple(rows[0]) == CSV_COLUMNS
    told = [["" if value is None else str(value) for value in row.values()] for row in table.to_pylist()]
    assert rows[1:] == told
    assert rows[1] == [str(path), "0", "0.0", "", "4.0", "8.0", "16.0", "20.0", "0.9", "0", "red"]
    assert rows[-1][3:8] == ["3", *map(str, map(float, box(2, 5)))]


def test_mot_rows_count_frames_and_corners_from_one(path, tmp_path):
    report = masu.detect_film(Finder(), path, tmp_path, to="mot", track=True, pictures=False)
    lines = report.file.read_text().splitlines()
    assert report.file.name == "walk.mot.txt"
    assert lines[0] == "2,1,8.000,9.000,12.000,12.000,0.900000,-1,-1,-1"
    assert len(lines) == 15, "the first frame has no numbers yet"
    plain = masu.detect_film(Finder(), path, tmp_path, to="mot", pictures=False)
    first = plain.file.read_text().splitlines()[0]
    assert first == "1,-1,5.000,9.000,12.000,12.000,0.900000,-1,-1,-1"


def test_a_film_in_which_nothing_is_found_has_its_files(path, tmp_path):
    for to, text in (("mot", ""), ("csv", ",".join(CSV_COLUMNS) + "\n")):
        report = masu.detect_film(Finder(lambda *_: 0.1), path, tmp_path / "o", to=to, pictures=False)
        assert report.file.read_text() == text
    report = masu.detect_film(Finder(lambda *_: 0.1), path, tmp_path / "o", to="parquet", pictures=False)
    assert pyarrow.parquet.read_table(report.file).num_rows == 0


def test_a_stream_gets_the_rows_of_each_frame_at_once(path):
    stream = io.StringIO()
    seen = []
    finder = Finder()
    inner = finder.predict
    finder.predict = lambda *a, **k: (seen.append(stream.getvalue().count("\n")), inner(*a, **k))[1]
    report = masu.detect_film(finder, path, stream, to="csv")
    assert seen == [0, 4, 7, 10, 13, 16]
    assert (report.file, report.drawn) == (None, None)


def read(path):
    return list(masu.frames(path))


def test_the_drawn_film_has_the_films_times_and_size(path, tmp_path):
    report = masu.detect_film(Finder(), path, tmp_path / "out", track=True)
    drawn = read(report.drawn)
    assert [frame.seconds for frame in drawn] == TIMES
    assert {frame.image.shape for frame in drawn} == {(80, 120, 3)}
    plain = [np.abs(frame.image.astype(int) - scene(frame.number)).mean() for frame in drawn]
    assert min(plain) > 3, "boxes are drawn"
    with av.open(str(report.drawn)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_without_h264_it_is_mpeg4(path, tmp_path, monkeypatch):
    monkeypatch.setattr("av.codecs_available", {"mpeg4"})
    report = masu.detect_film(Finder(), path, tmp_path / "out")
    with av.open(str(report.drawn)) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert [frame.seconds for frame in read(report.drawn)] == TIMES


@pytest.mark.parametrize(
    ("size", "drawn"), [((121, 81), (122, 82)), ((33, 200), (34, 200)), ((1, 1), (2, 2))]
)
def test_an_odd_film_is_drawn_one_pixel_larger(tmp_path, size, drawn):
    image = np.full((size[1], size[0], 3), 77, np.uint8)
    report = masu.detect_film(Finder(), film(tmp_path / "a.mkv", [image]), tmp_path / "out")
    (frame,) = read(report.drawn)
    assert frame.image.shape[1::-1] == drawn
    assert even(image).shape[1::-1] == drawn


def test_a_film_is_never_its_own_result(tmp_path):
    path = film(tmp_path / "a.mp4", [scene(0)], codec="mpeg4", pixels="yuv420p")
    before = path.read_bytes()
    report = masu.detect_film(Finder(), path, tmp_path)
    assert path.read_bytes() == before
    assert (report.file.name, report.drawn.name) == ("a-2.jsonl", "a-2.mp4")
    assert masu.detect_film(Finder(), path, tmp_path).file == report.file, "a second run replaces its own"


@pytest.mark.parametrize("to", ["jsonl", "csv", "parquet", "mot"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_was_found_before_a_stop_is_kept_whole(path, tmp_path, to, error):
    finder = Finder()
    inner = finder.predict

    def stopped(*arguments, **more):
        if finder.calls == 3:
            raise error
        return inner(*arguments, **more)

    finder.predict = stopped
    with pytest.raises(error):
        masu.detect_film(finder, path, tmp_path / "out", to=to)
    names = {"jsonl": "walk.jsonl", "csv": "walk.csv", "parquet": "walk.parquet", "mot": "walk.mot.txt"}
    file = tmp_path / "out" / names[to]
    rows = {"jsonl": 3, "csv": 10, "parquet": 9, "mot": 9}
    found = pyarrow.parquet.read_table(file).num_rows if to == "parquet" else file.read_text().count("\n")
    assert found == rows[to]
    assert len(read(tmp_path / "out" / "walk.mp4")) == 3
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == sorted([names[to], "walk.mp4"])


def test_a_film_that_cannot_be_read_leaves_no_files(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0" * 3000)
    with pytest.raises(InputError):
        masu.detect_film(Finder(), path, tmp_path / "out", to="csv")
    assert [one.name for one in tmp_path.rglob("*")] == ["a.mp4"]


def test_batches_are_full_and_in_order(path, tmp_path):
    finder = Finder()
    sizes = []
    inner = finder.predict
    finder.predict = lambda images, **more: (sizes.append(len(images)), inner(images, **more))[1]
    report = masu.detect_film(finder, path, tmp_path / "o", batch_size=4, pictures=False)
    assert sizes == [4, 2]
    assert [json.loads(line)["seconds"] for line in report.file.read_text().splitlines()] == TIMES


def test_every_second_frame(path, tmp_path):
    steps = []
    report = masu.detect_film(
        Finder(), path, tmp_path / "o", every=2, pictures=False, progress=lambda *step: steps.append(step)
    )
    lines = [json.loads(line) for line in report.file.read_text().splitlines()]
    assert [(line["frame"], line["seconds"]) for line in lines] == [(0, 0), (2, 0.2), (4, 0.6)]


@pytest.mark.parametrize("to", ["jsonl", "parquet"])
def test_memory_does_not_grow_with_the_film(tmp_path, to):
    """Ten times as long a film holds no more at once (Python's own and NumPy's memory)."""
    peaks = []
    for length in (60, 600):
        path = film(
            tmp_path / f"{length}.mkv",
            [scene(n % 8, size=(128, 96)) for n in range(length)],
            codec="mpeg4",
            pixels="yuv420p",
        )
        tracemalloc.start()
        masu.detect_film(Finder(), path, tmp_path / "o", to=to, pictures=False, track=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + (1_000_000 if to == "parquet" else 200_000)


@pytest.mark.parametrize(
    ("options", "thing", "found"),
    [
        ({"to": "json"}, "--to", "'json'"),
        ({"to": "coco"}, "--to", "'coco'"),
        ({"every": 0}, "every", "0"),
        ({"batch_size": 0}, "batch_size", "0"),
        ({"threshold": 2}, "threshold", "2"),
        ({"margins": True}, "margins", "none"),
    ],
)
def test_bad_options_are_named_before_the_film(tmp_path, options, thing, found):
    with pytest.raises(InputError) as caught:
        masu.detect_film(Finder(), tmp_path / "no.mp4", tmp_path / "out", **options)
    assert caught.value.thing == thing
    assert found in caught.value.found
    assert list(tmp_path.iterdir()) == []


def test_parquet_needs_a_folder(path):
    with pytest.raises(InputError, match="parquet without a folder"):
        masu.detect_film(Finder(), path, io.StringIO(), to="parquet")


def test_a_model_of_other_channels_is_refused(path, tmp_path):
    finder = Finder()
    finder.input = replace(finder.input, mean=(0.0,) * 4, std=(1.0,) * 4, channels=4)
    with pytest.raises(InputError, match="images of 4 channels"):
        masu.detect_film(finder, path, tmp_path / "out")


def test_ids_of_mot_rows_without_a_box():
    empty = masu.Detections([], [], [])
    assert mot_text(Seen(None, empty, (), 0.0), followed=True) == ""
