"""Drafts of COCO, YOLO, Pascal VOC and CVAT: what makes labels of them, and what does not."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import masu
from masu.data.dataset import DIFFICULT
from masu.data.formats import label_files, read_annotations, said_of_drafts
from masu.data.formats.copying import Drafts
from masu.data.formats.draft_list import DraftList
from masu.data.formats.editing import ChangedError
from masu.data.formats.writing import write_dataset
from masu.errors import InputError
from masu.verbs.convert import convert
from masu.verbs.reading import tell_faults
from tests.datasets import data_of
from tests.drafts.finder import DRAWN, Finder, pictures

FORMS = ("coco", "yolo", "voc", "cvat")
EDITED = ("coco", "yolo", "voc")
LISTED_IN = {"coco": "annotations", "yolo": "labels", "voc": "Annotations", "cvat": "."}


@pytest.fixture
def drafts(tmp_path):
    """Makes a folder of drafts of three photographs, of which the second has no box."""

    def make(form, name="drafts"):
        if not (tmp_path / "photos").exists():
            pictures(tmp_path / "photos")
        masu.draft(Finder(), tmp_path / "photos", form, tmp_path / name, threshold=0.5, version="cells-1f2e")
        return tmp_path / name

    return make


def list_in(root):
    (file,) = root.rglob("*.masu-drafts")
    return file


def drafted(root):
    """Names of the photographs that are left out as drafts, and of those that are not."""
    data = read_annotations(root)
    return [path.name for path in data.drafts], [path.name for path in data.paths]


def replaced(file, old, new):
    text = file.read_text("utf-8")
    assert text.count(old) >= 1
    file.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize("form", FORMS)
def test_the_list_lies_beside_the_labels_and_says_what_was_drafted(drafts, form):
    root = drafts(form)
    file = list_in(root)
    assert file.parent == root / LISTED_IN[form]
    content = json.loads(file.read_text("utf-8"))
    assert content["model"] == "cells-1f2e"
    assert list(content["drafts"]) == list(DRAWN)
    for name, rows in DRAWN.items():
        one = content["drafts"][name]
        assert one["size"] == [30, {"a.png": 40, "b.png": 50, "c.png": 60}[name]]
        assert one["boxes"] == [list(box) for box, _, _ in rows]
        assert one["classes"] == [found for _, found, _ in rows]
        assert one["scores"] == [score for _, _, score in rows]


@pytest.mark.parametrize("form", FORMS)
def test_nothing_reads_drafts_as_labels_until_their_list_is_deleted(drafts, form, tmp_path):
    root = drafts(form)
    assert drafted(root) == (["a.png", "b.png", "c.png"], [])
    with pytest.raises(InputError) as caught:
        masu.train(root, out=tmp_path / "run", weights="none")
    assert caught.value.found == "3 photographs with drafts of a model that nobody confirmed"
    place = "in your labelling tool"
    if form != "cvat":
        place = f"in masu label {root} or {place}"
    file = list_in(root)
    assert caught.value.fix == f"correct them {place}; once you have looked at every one, delete {file}"
    with pytest.raises(
        InputError, match="no image to write; 3 photographs hold drafts that nobody confirmed"
    ):
        convert(root, tmp_path / "other", "voc")
    (kind, findings) = next((kind, own) for name, kind, own in masu.check(root).by_kind() if name == "draft")
    assert {one.found for one in findings} == {f"left out, a draft by {file.name}"}
    assert "a list *.masu-drafts" in kind.fix
    file.unlink()
    assert drafted(root) == ([], ["a.png", "b.png", "c.png"])


COCO = "annotations/instances.json"
CAT = "0 0.5 0.5 1.0 1.0"
CORRECTIONS = [
    ("coco", COCO, '"bbox": [0.0, 0.0, 40.0, 30.0]', '"bbox": [0.0, 0.0, 38.5, 30.0]', "a.png"),
    ("coco", COCO, '"category_id": 1', '"category_id": 3', "a.png"),
    ("coco", COCO, '"image_id": 3', '"image_id": 2', "b.png c.png"),
    ("yolo", "labels/a.txt", CAT, "0 0.5 0.5 0.95 1.0", "a.png"),
    ("yolo", "labels/a.txt", CAT, "2 0.5 0.5 1.0 1.0", "a.png"),
    ("yolo", "labels/a.txt", CAT, "", "a.png"),
    ("yolo", "labels/a.txt", CAT, f"{CAT}\n1 0.2 0.2 0.1 0.1", "a.png"),
    ("voc", "Annotations/a.xml", "<ymax>30</ymax>", "<ymax>28</ymax>", "a.png"),
    ("voc", "Annotations/a.xml", "<name>cat</name>", "<name>hen</name>", "a.png"),
    ("cvat", "annotations.xml", 'xbr="40.0"', 'xbr="36.0"', "a.png"),
    ("cvat", "annotations.xml", 'label="cat"', 'label="ünnamed"', "a.png"),
]
"""Format, file, what is written there, what a person makes of it, and the photographs with labels then."""


@pytest.mark.parametrize(("form", "name", "old", "new", "labels"), CORRECTIONS)
def test_who_corrects_a_photograph_makes_labels_of_it_and_of_no_other(drafts, form, name, old, new, labels):
    root = drafts(form)
    replaced(root / name, old, new)
    left_out, read = drafted(root)
    assert read == labels.split()
    assert left_out == [one for one in DRAWN if one not in read]


def whole_pixels(number):
    return str(int(float(number)))


def rewritten(root, form):
    """All files as another program writes them that changes nothing: laid out and numbered anew, rounded."""
    if form == "coco":
        file = root / "annotations" / "instances.json"
        page = json.loads(file.read_text())
        for one in page["images"] + page["annotations"] + page["categories"]:
            for key in one.keys() & {"id", "image_id", "category_id"}:
                one[key] += 100
            one.pop("score", None)
        page["annotations"].reverse()
        file.write_text(json.dumps(page, indent=4))
    for file in root.glob("labels/*.txt"):
        rows = [line.split() for line in file.read_text().splitlines()]
        lines = [" ".join([k, *(f"{float(number):.6f}" for number in rest)]) for k, *rest in reversed(rows)]
        file.write_bytes("\r\n".join(lines).encode())
    for file in root.glob("Annotations/*.xml"):
        text = file.read_text("utf-8").replace("1.23<", f"{whole_pixels('1.23')}<").replace("\n", "\r\n")
        file.write_text(
            text.replace("20.5<", "20<").replace("<annotation>", "<annotation><folder/>"), "utf-8"
        )
    if form == "cvat":
        replaced(root / "annotations.xml", 'source="auto"', 'source="file"')
        replaced(root / "annotations.xml", 'xtl="1.23"', 'xtl="1.23000001"')


@pytest.mark.parametrize("form", FORMS)
def test_a_program_that_writes_the_labels_anew_makes_no_labels_of_them(drafts, form):
    root = drafts(form)
    rewritten(root, form)
    assert drafted(root) == (["a.png", "b.png", "c.png"], [])


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_that_was_moved_is_still_one_of_drafts(drafts, form, tmp_path):
    root = drafts(form).rename(tmp_path / "moved")
    assert drafted(root)[1] == []
    inner = root / LISTED_IN[form]
    file = next(inner.glob("instances.json"), inner)
    if form != "yolo":  # whose labels alone name no image
        assert read_annotations(file, images=root).drafts == read_annotations(root).drafts


def test_labels_that_are_copied_among_others_stay_drafts(drafts, tmp_path):
    """Two models have drafted parts of one data set of YOLO, and its owner has labelled a part."""
    first, second = drafts("yolo"), drafts("yolo", "second")
    own = tmp_path / "own"
    shutil.copytree(first, own)
    list_in(own).unlink()
    for number, root in enumerate((first, second)):
        for file in (*root.glob("images/*"), *root.glob("labels/*.txt")):
            shutil.copy(file, own / file.parent.name / f"{number}-{file.name}")
        content = DraftList.read(list_in(root))
        renamed = {f"{number}-{name}": one for name, one in content.drafts.items()}
        (own / "labels" / f"{number}.masu-drafts").write_text(DraftList(content.model, renamed).text())
    left_out, read = drafted(own)
    assert left_out == [f"{number}-{name}" for number in range(2) for name in DRAWN]
    assert read == list(DRAWN)
    said = said_of_drafts(read_annotations(own))
    assert said.endswith(f"delete {own}/labels/0.masu-drafts, {own}/labels/1.masu-drafts")


def test_classes_that_only_drafts_have_are_none_of_the_labels(drafts):
    """Of VOC, whose classes are those of its objects; where a list says them they stay."""
    root = drafts("voc")
    replaced(root / "Annotations/a.xml", "<ymax>30</ymax>", "<ymax>28</ymax>")
    data = masu.read_dataset(root)
    assert (data.names, data.category_ids) == (("cat", "dog & <hen>"), (1, 2))
    assert sorted(data.labels.tolist()) == [0, 1]
    root = drafts("yolo", "other")
    replaced(root / "labels/a.txt", "0 0.5 0.5 1.0 1.0", "")
    assert masu.read_dataset(root).names == Finder.names


def test_what_is_not_carried_is_counted_of_labels_alone(drafts):
    root = drafts("coco")
    replaced(root / "annotations/instances.json", "[0.0, 0.0, 40.0, 30.0]", "[0.0, 0.0, 30.0, 30.0]")
    assert read_annotations(root).left_out == {"score": 2}


def test_the_list_is_of_what_was_written(tmp_path):
    """YOLO has no place for difficult objects, which labels that are suggested may be."""
    (photo,) = pictures(tmp_path / "photos")[:1]
    rows = [((1.0, 2, 9, 8), "cat", False), ((5.0, 6, 20, 20), "dog", False), ((1.0, 2, 9, 9), "dog", False)]
    data = data_of({None: [(photo, rows)]}, ["cat", "dog"], size=(30, 40))
    data = replace(data, flags=np.array([0, DIFFICULT, 0], np.uint8))
    write_dataset(tmp_path / "out", "yolo", data, drafts=Drafts(np.array([0.5, 0.25, 0.75]), "masu check"))
    assert drafted(tmp_path / "out") == (["a.png"], [])
    one = DraftList.read(list_in(tmp_path / "out")).drafts["a.png"]
    assert (one.boxes, one.scores) == ([(1, 2, 9, 8), (1, 2, 9, 9)], [0.5, 0.75])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "broken JSON"),
        ("[]", "another content (Expected `object`, got `array`)"),
        ('{"model": "m", "drafts": {"a.png": {"size": [3]}}}', "another content ("),
        (
            '{"model": "m", "drafts": {"a.png": {"size": [3, 0], "boxes": [], "classes": [], "scores": []}}}',
            "another content (Expected `int` >= 1",
        ),
        (
            '{"model": "m", "drafts": {"a.png": {"size": [3, 4], "boxes": [], "classes": ["x"], "scores": []}}}',
            "0, 1 and 0 boxes, classes and scores of a.png",
        ),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_and_locks_the_photographs(drafts, text, found):
    root = drafts("yolo")
    file = list_in(root)
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read_annotations(root)
    assert (caught.value.thing, caught.value.wanted) == (str(file), "the list of drafts that masu wrote")
    assert caught.value.found.startswith(found)
    assert caught.value.fix == "restore it, or delete it once you have looked at every photograph"
    _, files = label_files(root)
    loaded = files.load(root / "images" / "a.png")
    assert (loaded.entries, loaded.unconfirmed) == (None, None)
    assert loaded.why.startswith(f"{file}: found {found}")
    with pytest.raises(InputError):
        files.save(root / "images" / "a.png", (30, 40), [], loaded.version)


def photo(root, name):
    (found,) = root.rglob(name)
    return found


@pytest.mark.parametrize("form", EDITED)
def test_drafts_are_offered_with_their_scores_and_an_answer_makes_labels_of_them(drafts, form):
    root = drafts(form)
    _, files = label_files(root)
    first = photo(root, "a.png")
    loaded = files.load(first)
    assert loaded.entries is None
    offered = loaded.unconfirmed
    assert (offered.model, offered.scores) == ("cells-1f2e", (0.9123, 0.6))
    for entry, (box, name, _) in zip(offered.entries, DRAWN["a.png"], strict=True):
        assert entry.name == name
        assert entry.box == pytest.approx(box, abs=0.01)
    assert files.load(photo(root, "b.png")).unconfirmed.entries == ()

    version = files.save(first, (30, 40), offered.entries, loaded.version)  # all were right
    assert version != loaded.version
    assert files.load(first).entries is not None
    assert files.load(first).version == version
    assert drafted(root) == (["b.png", "c.png"], ["a.png"])
    assert read_annotations(root).left_out == {}
    with pytest.raises(ChangedError):
        files.save(first, (30, 40), [], loaded.version)  # of a page that shows drafts still
    assert files.changed() == ()

    second = photo(root, "b.png")
    files.save(second, (30, 50), [], files.load(second).version)  # there is nothing
    third = photo(root, "c.png")
    files.save(third, (30, 60), [], files.load(third).version)  # nor there, whatever the draft says
    assert drafted(root) == ([], ["a.png", "b.png", "c.png"])
    assert not list(root.rglob("*.masu-drafts"))


@pytest.mark.parametrize("form", EDITED)
def test_others_see_that_drafts_were_confirmed_elsewhere(drafts, form):
    root = drafts(form)
    _, mine = label_files(root)
    _, other = label_files(root)
    for name in ("a.png", "b.png"):
        one = photo(root, name)
        loaded = other.load(one)
        other.save(one, (30, 40), loaded.unconfirmed.entries, loaded.version)
    assert [path.name for path in mine.changed()] == ["a.png", "b.png"]
    assert mine.changed() == ()
    assert mine.load(photo(root, "b.png")).entries == ()


def test_a_photograph_that_was_corrected_elsewhere_is_labelled_on_the_page_too(drafts):
    root = drafts("yolo")
    replaced(root / "labels/a.txt", "0 0.5 0.5 1.0 1.0", "")
    _, files = label_files(root)
    loaded = files.load(root / "images" / "a.png")
    assert loaded.unconfirmed is None
    assert [entry.name for entry in loaded.entries] == ["dog & <hen>"]


@pytest.mark.parametrize(
    ("form", "file", "name"),
    [
        ("coco", COCO, '"name": "cat"'),
        ("yolo", "data.yaml", "cat"),
        ("voc", "Annotations/a.xml", "cat"),
        ("cvat", "annotations.xml", "cat"),
    ],
)
def test_a_later_model_drafts_what_nobody_has_corrected(drafts, form, file, name, tmp_path):
    root = drafts(form)
    replaced(root / file, name, name.replace("cat", "dog"))
    again = masu.draft(Finder(), root, "coco", tmp_path / "again", threshold=0.5)
    assert (again.images, again.labelled) == (2, 1)


def test_every_verb_tells_of_drafts_beside_labels(drafts, tmp_path):
    root = drafts("voc")
    replaced(root / "Annotations/a.xml", "<ymax>30</ymax>", "<ymax>28</ymax>")
    said = said_of_drafts(read_annotations(root))
    assert said.startswith(
        "2 photographs hold drafts that nobody confirmed, and they are left out: b.png, c.png;"
    )
    report = masu.check(root)
    assert report.images == {"all": 1}
    assert [one.image.name for one in report.findings if one.kind == "draft"] == ["b.png", "c.png"]
    done = convert(root, tmp_path / "coco", "coco")
    assert (done.images, done.faults[0]) == ({"all": 1}, said)
    measured = masu.evaluate(Finder(), root)
    assert (measured.images, measured.faults[0]) == (1, said)
    told = []
    tell_faults(told.append, masu.read_dataset(root))
    assert told[0] == f"{root}: {said}"


@pytest.mark.parametrize("form", EDITED)
def test_photographs_whose_drafts_lie_elsewhere_are_not_labelled_anew(drafts, form, tmp_path):
    """In files of LabelMe beside them nobody would find the labels: the folder is one of another format."""
    root = drafts(form)
    folder = photo(root, "a.png").parent
    with pytest.raises(InputError) as caught, masu.label(folder, out=tmp_path / "out", time_budget=None):
        pass
    assert caught.value.thing == str(folder)
    assert caught.value.found == "labels or drafts of 3 photographs that stand outside of it"
    with masu.label(root, out=tmp_path / "other", time_budget=None) as labelling:
        assert labelling.form == form
        assert labelling.desk.sitting.drafted == 3


def test_drafts_beside_the_photographs_are_those_of_their_folder(tmp_path):
    pictures(tmp_path / "photos")
    masu.draft(Finder(), tmp_path / "photos", "labelme", threshold=0.5)
    with masu.label(tmp_path / "photos", out=tmp_path / "out", time_budget=None) as labelling:
        sitting = labelling.desk.sitting
        assert sitting.drafted == 3
        for name in DRAWN:
            sitting.work_on(name, sitting.version_of(name), (), None)
    with masu.label(tmp_path / "photos", out=tmp_path / "out", time_budget=None) as labelling:
        assert labelling.desk.sitting.in_state("unfinished") == tuple(DRAWN)
