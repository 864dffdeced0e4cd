"""masu demo: honest, legible scenes and a page that stands alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from masu.data.formats import read_dataset
from masu.errors import InputError
from masu.evaluation.metrics import ClassMetrics, Metrics
from masu.ops.images import InputPolicy
from masu.pages.pictures import Mark, Shown
from masu.records import Detections
from masu.training.train import TrainResult
from masu.verbs import demo as demo_module
from masu.verbs.demo import demo
from masu.verbs.demo_page import DemoPage, Picture, render_page
from masu.verbs.demo_scenes import NAMES, background, compose, ink, make_scenes, split_material
from tests.demo_pages import demo_page
from tests.markup import read_html

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def material() -> dict[str, Any]:
    return split_material()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "data"
    make_scenes(folder, 20, 5, 10, seed=3)
    return folder


def test_the_scenes_are_a_data_set_without_faults(folder: Path) -> None:
    for split, count in (("train", 20), ("val", 5), ("test", 10)):
        data = read_dataset(folder, split)
        assert (len(data), data.names, data.faults) == (count, NAMES, ())
        empty = 0
        for image, target in data:
            with Image.open(image) as picture:
                width, height = picture.size
            assert 290 <= width <= 350
            assert 220 <= height <= 260
            assert len(target) <= 6
            empty += not len(target)
            x1, y1, x2, y2 = target.boxes.unbind(1)
            assert ((x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height)).all()
            assert ((y2 - y1 >= 18) & (y2 - y1 <= 90) & (x2 - x1 >= 2)).all()
        assert empty >= count // 10  # some scenes are bare


def test_the_same_seed_gives_the_same_files_and_another_one_others(tmp_path: Path) -> None:
    def contents(name: str, seed: int) -> dict[str, bytes]:
        make_scenes(tmp_path / name, 2, 1, 1, seed=seed)
        files = sorted((tmp_path / name).rglob("*.*"))
        return {str(file.relative_to(tmp_path / name)): file.read_bytes() for file in files}

    first = contents("a", 0)
    assert len(first) == 7
    assert contents("b", 0) == first
    other = contents("c", 1)
    assert all(other[name] != first[name] for name in first)


def test_a_split_does_not_depend_on_the_size_of_another(tmp_path: Path) -> None:
    make_scenes(tmp_path / "a", 1, 1, 2)
    make_scenes(tmp_path / "b", 3, 1, 2)
    name = Path("annotations", "instances_test.json")
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_splits_share_no_digit_and_no_pixel_of_a_photograph(material: dict[str, Any]) -> None:
    from sklearn.datasets import load_digits, load_sample_images

    # In collection order, nothing is used twice and nothing is lost: parts that add up are disjoint.
    digits = np.concatenate([material[split].digits for split in ("train", "val", "test")])
    np.testing.assert_array_equal(digits * 16, load_digits().images)
    labels = sum((material[split].labels for split in ("train", "val", "test")), ())
    assert list(labels) == load_digits().target.tolist()
    for number, photograph in enumerate(load_sample_images().images):
        strips = [material[split].photographs[number] for split in ("test", "val", "train")]
        np.testing.assert_array_equal(np.concatenate(strips, axis=1), photograph)
    assert all(set(part.labels) == set(range(10)) for part in material.values())


def test_backgrounds_come_from_their_strip_only() -> None:
    photograph = np.full((427, 640, 3), 200, np.uint8)
    photograph[:, :100] = 10
    rng = np.random.default_rng(0)
    assert all((background(photograph[:, 100:], rng) == 200).all() for _ in range(20))


def test_boxes_are_tight_around_the_changed_pixels(material: dict[str, Any]) -> None:
    part = material["test"]
    rng = np.random.default_rng(5)
    for _ in range(12):
        ground = background(part.photographs[int(rng.integers(2))], rng)
        before = ground.copy()
        chosen = rng.integers(len(part.labels), size=5)
        scene = compose(ground, [(part.digits[i], part.labels[i]) for i in chosen], rng)
        np.testing.assert_array_equal(ground, before)
        changed = (scene.pixels != ground).any(2)
        outside = changed.copy()
        for (x1, y1, x2, y2), label in zip(scene.boxes, scene.labels, strict=True):
            inside = changed[y1:y2, x1:x2]
            assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
            assert 0 <= label <= 9
            outside[y1:y2, x1:x2] = False
        assert not outside.any()
        # boxes are apart: each digit can be read by itself
        cover = np.zeros(changed.shape, int)
        for x1, y1, x2, y2 in scene.boxes:
            cover[y1:y2, x1:x2] += 1
        assert cover.max() == 1


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_ink_stands_out_from_its_ground(shade: int, material: dict[str, Any]) -> None:
    part = material["train"]
    ground = np.full((240, 320, 3), shade, np.uint8)
    scene = compose(ground, [(part.digits[0], part.labels[0])], np.random.default_rng(shade))
    luma = scene.pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma - shade).max() > 75


def test_a_digit_that_finds_no_room_is_left_out(material: dict[str, Any]) -> None:
    part = material["train"]
    digits = [(part.digits[i], part.labels[i]) for i in range(200)]
    scene = compose(np.zeros((240, 320, 3), np.uint8), digits, np.random.default_rng(0))
    assert 3 < len(scene.boxes) == len(scene.labels) < 200


@pytest.mark.parametrize("height", [20, 51, 90])
def test_ink_has_the_wanted_height_and_no_margin(height: int, material: dict[str, Any]) -> None:
    for digit in material["train"].digits[:40]:
        mask = ink(digit, height, 10.0)
        assert height - 2 <= mask.shape[0] <= height
        assert mask.min() >= 0
        assert 0.5 < mask.max() <= 1
        assert all(edge.any() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def test_bad_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="val = 0, wanted 1 or more"):
        make_scenes(tmp_path, 1, 0, 1)
    with pytest.raises(InputError, match="seed = -1, wanted 0"):
        make_scenes(tmp_path, 1, 1, 1, seed=-1)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError, match="file: cannot be written"):
        make_scenes(file, 1, 1, 1)


def test_without_scikit_learn_the_error_names_the_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match=r'pip install "masu\[demo\]"') as caught:
        make_scenes(tmp_path, 1, 1, 1)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_importing_the_demo_does_not_import_scikit_learn() -> None:
    code = "import sys, masu.verbs.demo_scenes; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def _metrics(names: tuple[str, ...]) -> Metrics:
    figures = dict.fromkeys(("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"), 0.5) | dict.fromkeys(
        ("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"), None
    )
    per_class = {name: ClassMetrics(0.4321, 0.8765, None, 7) for name in names}
    return Metrics(
        **figures,
        per_class=per_class,
        images=3,
        objects=7,
        seconds_per_image=0.05,
        max_detections=(1, 10, 100),
    )


def _shown(name: str, alt: str, mark: Mark) -> Shown:
    return Shown(name, "data:image/jpeg;base64,AA", (16, 12), (mark,), alt)


def _page(names: tuple[str, ...] = ("0", "1"), history: int = 3) -> DemoPage:
    pictures = (
        Picture(_shown("test-0001.jpg", f"There: {names}", Mark((1, 2, 9, 9), "object")), names, ()),
        Picture(_shown("b.jpg", f"Found: {names}", Mark((1, 2, 9, 9), "found", names[0])), (), names),
    )
    return demo_page(_metrics(names), pictures, history)


def test_the_page_is_valid_accessible_and_alone() -> None:
    html = render_page(_page())
    assert html.startswith("<!DOCTYPE html>")
    page = read_html(html)
    tags = [tag for tag, _ in page.tags]
    assert ("html", {"lang": "en"}) in page.tags
    assert tags.count("h1") == tags.count("title") - 6 == tags.count("main") == 1  # 3 + 3 points have titles
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert all(a.get("aria-label") or a.get("aria-hidden") for tag, a in page.tags if tag == "svg")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a} <= set(ids)
    sources = [a[key] or "" for _, a in page.tags for key in ("src", "href", "srcset", "action") if key in a]
    assert len(sources) == 3
    assert sources.pop() == "found/index.html"
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "//" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert tags.count("script") == 1
    text = " ".join(page.text)
    for words in ("0.876", "0.432", "6 min 05 s", "2 threads", "masu train PHOTOS --out runs/mine", "50 ms"):
        assert words in text


def test_names_are_escaped() -> None:
    bad = '<script>alert("x")</script>'
    html = render_page(_page((bad, 'a" onerror="y')))
    page = read_html(html)
    assert bad not in html
    assert not [a for _, a in page.tags if "onerror" in a]
    assert bad in "".join(page.text)
    assert any(bad in (a.get("alt") or "") for _, a in page.tags)


@pytest.mark.parametrize("history", [0, 1])
def test_a_page_of_few_epochs_is_valid(history: int) -> None:
    html = render_page(_page(history=history))
    assert read_html(html)
    assert html.count('<svg viewBox="-12 0 458 220"') == 2 * history


class _Seer:
    """Finds a 7 in the upper left corner of every image."""

    names = NAMES
    kind = "detector"
    input = InputPolicy()

    def predict(self, images: Any, threshold: float | None = None, batch_size: int = 1) -> list[Detections]:
        box, score, label = torch.tensor([[5.0, 5, 40, 60]]), torch.tensor([0.9]), torch.tensor([7])
        return [Detections(box, score, label, ("7",)) for _ in images]


def _trained(run: Path, interrupted: bool = False) -> TrainResult:
    run.mkdir()
    best = run / "best.safetensors"
    best.write_bytes(b"model")
    return TrainResult(best, best, 12.0, [{"epoch": 1, "loss": 2.0, "ap": 0.1, "ap50": 0.2}], interrupted)


def test_demo_from_scenes_to_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = []

    def train(data: Any, val: Any, settings: Any, out: Path, *, report: Any, resume: bool) -> TrainResult:
        calls.append((data.split, len(data), val.split, len(val), settings))
        report({"event": "epoch", "epoch": 1})
        return _trained(out)

    monkeypatch.setattr(demo_module, "train", train)
    monkeypatch.setattr(demo_module, "load", lambda path: _Seer())
    events: list[dict[str, Any]] = []
    result = demo(tmp_path / "out", epochs=4, scenes=(3, 2, 10), seed=2, report=events.append)

    (called,) = calls
    assert called[:4] == ("train", 3, "val", 2)
    settings = called[4]
    assert (settings.epochs, settings.seed) == (4, 2)
    assert settings.augmentation.horizontal_flip == settings.augmentation.vertical_flip == 0
    assert result.page == tmp_path / "out" / "index.html"
    assert result.ap50 is not None
    assert 0 <= result.ap50 <= 1
    assert json.loads(json.dumps(result.as_dict()))["page"] == str(result.page)
    assert [event["event"] for event in events] == ["part", "part", "epoch", "part", "part"]
    assert len(list((tmp_path / "out" / "found" / "pictures").glob("*.jpg"))) == 10
    page = read_html(result.page.read_text(encoding="utf-8"))
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 9

    with pytest.raises(InputError, match="found an earlier demo"):
        demo(tmp_path / "out")


def test_an_interrupted_demo_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def train(data: Any, val: Any, settings: Any, out: Path, *, report: Any, resume: bool) -> TrainResult:
        return _trained(out, interrupted=True)

    monkeypatch.setattr(demo_module, "train", train)
    with pytest.raises(KeyboardInterrupt):
        demo(tmp_path / "out", scenes=(1, 1, 1))
