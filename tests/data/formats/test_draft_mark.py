"""What makes a file of shapes a draft, and what makes labels of it."""

import json
from dataclasses import replace

import pytest

import masu
from masu.data.formats import said_of_drafts
from masu.data.formats.draft_mark import drafted_by, marked, unmarked
from masu.errors import InputError
from masu.verbs.convert import convert
from masu.verbs.reading import training_and_validation, warn_of_faults
from tests.drafts.finder import Finder, pictures

SHAPE = {"label": "cat", "points": [[1.0, 2.0], [9.5, 8.0]], "shape_type": "rectangle", "score": 0.9}
PAGE = {"version": "5.5.0", "flags": {}, "shapes": [SHAPE], "imagePath": "a.png"}


def test_the_mark_names_the_model_however_the_text_is_laid_out():
    content = marked(PAGE, "cells-1f2e3d4c")
    assert content["flags"] == {"draft": True}
    turned = dict(reversed(json.loads(json.dumps(content, indent=2)).items()))
    assert drafted_by(content) == drafted_by(turned) == "cells-1f2e3d4c"
    assert unmarked(content) == PAGE
    assert drafted_by(PAGE) is None


@pytest.mark.parametrize(
    "change",
    [
        {"version": "6.3.1"},
        {"flags": {"draft": False}},
        {"checked": True},
        {"shapes": []},
        {"shapes": [SHAPE | {"mask": None}]},
        {"shapes": [SHAPE | {"points": [[1.0, 2.0], [9.5, 8.5]]}]},
        {"draft": True},
        {"draft": {"seal": "5fdc7e24d93353d0"}},
        {"draft": {"model": "cells", "seal": 7}},
    ],
)
def test_whoever_saves_the_file_voids_it(change):
    assert drafted_by(marked(PAGE, "cells-1f2e3d4c") | change) is None


@pytest.fixture
def half(tmp_path):
    """Three photographs with drafts, of which somebody has saved the first."""
    folder = tmp_path / "photos"
    pictures(folder)
    masu.draft(Finder(), folder, "labelme", threshold=0.5)
    file = folder / "a.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": "6.3.1"}))
    return folder


def test_drafts_are_no_labels_and_are_told(half):
    data = masu.read_dataset(half)
    assert [path.name for path in data.paths] == ["a.png"]
    assert data.drafts == (half / "b.png", half / "c.png")
    said = said_of_drafts(data)
    assert said.startswith(
        "2 photographs hold drafts that nobody confirmed, and they are left out: b.png, c.png;"
    )
    assert said.endswith(f"confirm them in masu label {half}, or save each in your labelling tool")
    assert said_of_drafts(replace(data, drafts=())) is None


def test_every_verb_tells_of_drafts(half, tmp_path):
    found = masu.check(half).by_kind()
    (kind, findings) = next((kind, own) for name, kind, own in found if name == "draft")
    assert (kind.severity, [finding.image.name for finding in findings]) == ("warning", ["b.png", "c.png"])
    assert "unlabelled-image" not in [name for name, _, _ in found]
    assert masu.check(half).errors == 0
    done = convert(half, tmp_path / "coco", "coco")
    assert done.images == {"all": 1}
    assert done.faults[0].startswith("2 photographs hold drafts that nobody confirmed")
    assert (
        len(list((tmp_path / "coco" / "images").iterdir())) == 3
    )  # the photographs come along, without labels
    measured = masu.evaluate(Finder(), half)
    assert measured.images == 1
    assert measured.faults[0] == said_of_drafts(masu.read_dataset(half))


def test_training_leaves_drafts_out_and_refuses_drafts_alone(half, tmp_path):
    file = half / "c.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": "6.3.1"}))
    with pytest.warns(UserWarning, match="photos: 1 photograph holds drafts that nobody confirmed"):
        warn_of_faults(*training_and_validation(half))
    for name in ("a", "c"):
        (half / f"{name}.json").unlink()
    with pytest.raises(InputError) as caught:
        masu.train(half, out=tmp_path / "other", weights="none")
    assert caught.value.found == "1 photograph with drafts of a model that nobody confirmed"
    assert caught.value.fix.startswith("confirm them in masu label ")
