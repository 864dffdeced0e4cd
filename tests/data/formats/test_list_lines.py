"""A label file and a line of a list in one step, whenever the process is killed."""

import shutil
import signal

import pytest

from masu.atomic import WriteError
from masu.data.formats import read_dataset
from masu.data.formats.editing import Entry
from masu.data.formats.list_lines import STEP, settle
from tests.data.formats.label_files import SIZE, opened, photo_of, photograph, read_back
from tests.struck import kill_within

CAT = Entry((1.0, 2.0, 9.0, 8.5), "cat")


def laid_out(folder, form):
    """Two photographs, ``a`` with labels and listed for training, ``new`` with neither."""
    places = {
        "yolo": ("images", "labels", "train.txt"),
        "voc": ("JPEGImages", "Annotations", "ImageSets/Main/train.txt"),
    }
    images, labels, lines = places[form]
    for name in ("a.png", "new.png"):
        photograph(folder / images / name)
    for place in (folder / labels, (folder / lines).parent):
        place.mkdir(parents=True, exist_ok=True)
    if form == "yolo":
        (folder / "classes.txt").write_text("cat\n")
        (folder / labels / "a.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    else:
        (folder / labels / "a.xml").write_text("<annotation><filename>a.png</filename></annotation>")
    (folder / lines).write_text("images/a.png\n" if form == "yolo" else "a\n")
    return folder / lines


def first_answer(root):
    opened(root).save(photo_of(root, "new.png"), SIZE, [CAT], "")


def taken_back(root, kept):
    files, photo = opened(root), photo_of(root, "new.png")
    files.take_back(photo, files.load(photo).version, kept)


def state_of(root, lines):
    """Whether the new photograph has labels, and whether it is listed."""
    return photo_of_labels(root) != [], "new" in lines.read_text()


def photo_of_labels(root):
    return [path for path in root.rglob("new.*") if path.suffix in (".txt", ".xml")]


@pytest.mark.parametrize("form", ["voc", "yolo"])
@pytest.mark.parametrize("back", [False, True])
def test_a_kill_at_any_step_leaves_no_list_that_names_what_has_no_labels(tmp_path, form, back):
    fresh, root, kept = tmp_path / "fresh", tmp_path / "set", tmp_path / "kept"
    laid_out(fresh, form)
    if back:
        first_answer(fresh)
    work, arguments = (taken_back, (root, kept)) if back else (first_answer, (root,))
    at, seen = -1, set()
    while True:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(fresh, root)
        lines = next(root.rglob("train.txt"))
        at += 2  # every second thing that it does to the disk
        code, _ = kill_within(work, arguments, root, at)
        labelled, named = state_of(root, lines)
        assert labelled or not named
        seen.add((labelled, named))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        opened(root)  # the next start
        assert state_of(root, lines) == (labelled, labelled)
        assert not list(root.rglob(STEP))
        if labelled:
            assert len(read_back(root)["new.png"]) == 1
            assert read_dataset(root, "train").paths.texts()[-1].endswith("new.png")
        else:
            assert not back or [path.name.split(".")[0] for path in kept.rglob("*.1")] == ["new"]
    assert seen == {(False, False), (True, False), (True, True)}  # killed between the two, too
    assert state_of(root, lines) == (not back, not back)


@pytest.mark.parametrize("form", ["voc", "yolo"])
def test_a_list_that_cannot_be_written_refuses_the_answer(tmp_path, form, monkeypatch):
    root = tmp_path / "set"
    lines = laid_out(root, form)
    before = lines.read_bytes()
    files, photo = opened(root), photo_of(root, "new.png")

    def full(file, content):
        raise WriteError(str(file), found="no space left on device", wanted="room", fix="")

    with monkeypatch.context() as patched:
        patched.setattr("masu.data.formats.list_lines.write_in_place", full)
        with pytest.raises(WriteError):
            files.save(photo, SIZE, [CAT], "")
    assert (photo_of_labels(root), lines.read_bytes(), list(root.rglob(STEP))) == ([], before, [])
    files.save(photo, SIZE, [CAT], "")
    assert state_of(root, lines) == (True, True)


@pytest.mark.parametrize("said", ["", "[]", '{"labels": "a.txt", "list": 3, "line": "x"}', '{"labels": 1}'])
def test_a_note_that_masu_did_not_write_is_passed_over(tmp_path, said):
    (tmp_path / STEP).write_text(said)
    settle(tmp_path, tmp_path)
    assert (tmp_path / STEP).read_text() == said


@pytest.mark.parametrize("name", ["../outside.txt", "inside.py"])
def test_a_note_of_a_stranger_changes_no_other_file(tmp_path, name):
    root = tmp_path / "set"
    root.mkdir()
    file = root / name
    file.write_text("as it was\n")
    (root / "a.txt").write_text("")
    (root / STEP).write_text(f'{{"labels": "a.txt", "list": "{name}", "line": "more"}}')
    settle(root, root)
    assert file.read_text() == "as it was\n"
