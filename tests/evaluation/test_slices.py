"""Figures of parts of the data: each part's are those of its images alone."""

import numpy as np
import pytest
from PIL import Image

from masu.errors import InputError
from masu.evaluation.evaluate import Scored
from masu.evaluation.metrics import coco_metrics
from masu.evaluation.slices import SLICES, check_kinds, slices
from tests.evaluation.test_resampling import NAMES, scene


@pytest.fixture(scope="module")
def photographed(tmp_path_factory):
    """Twelve images in two folders, ever brighter, and what was found in them."""
    root = tmp_path_factory.mktemp("data")
    targets, found = scene(1)
    paths = [root / ("north" if i % 3 else "south") / f"{i}.png" for i in range(len(targets))]
    for i, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (32, 32), (20 * i,) * 3).save(path)
    metrics = coco_metrics(targets, found, NAMES)
    return Scored(metrics, tuple(NAMES), tuple(paths), tuple(targets), tuple(found)), root


def alone(scored, rows):
    return coco_metrics([scored.targets[i] for i in rows], [scored.found[i] for i in rows], NAMES)


def test_folders(photographed):
    scored, root = photographed
    north, south = slices(scored, ["folder"], root, None)
    for part, rows in ((north, [i for i in range(12) if i % 3]), (south, [0, 3, 6, 9])):
        metrics = alone(scored, rows)
        assert (part.images, part.objects) == (len(rows), metrics.objects)
        assert part.ap == pytest.approx(metrics.ap, abs=1e-9)
        assert part.ap50 == pytest.approx(metrics.ap50, abs=1e-9)
        assert part.ap_interval.low < part.ap < part.ap_interval.high
    assert (north.name, south.name) == ("north", "south")


def test_brightness(photographed):
    scored, root = photographed
    parts = slices(scored, ["brightness"], root, None)
    assert [part.name for part in parts] == [
        "dark (0.00 to 0.24)",
        "medium (0.31 to 0.55)",
        "bright (0.63 to 0.86)",
    ]
    assert parts[0].ap == pytest.approx(alone(scored, range(4)).ap, abs=1e-9)


def test_crowding_keeps_equal_counts_together(photographed):
    scored, root = photographed
    parts = slices(scored, ["crowding"], root, None)
    assert sum(part.images for part in parts) == 12
    assert sum(part.objects for part in parts) == scored.metrics.objects
    assert [part.name.split(" ")[0] for part in parts] == ["few", "some", "many"]


def test_classes_and_sizes_are_those_of_all_images(photographed):
    scored, root = photographed
    parts = {part.name: part for part in slices(scored, ["class", "size"], root, None)}
    for name, row in scored.metrics.per_class.items():
        assert (parts[name].ap, parts[name].objects) == (pytest.approx(row.ap, abs=1e-9), row.objects)
    for size in ("small", "medium", "large"):
        assert parts[size].ap == pytest.approx(getattr(scored.metrics, f"ap_{size}"), abs=1e-9)
    with_objects = np.array([(t.labels[~t.ignored] == 0).any() for t in scored.targets])
    assert parts["ant"].images == with_objects.sum()


def test_one_image_has_no_interval(photographed):
    scored, root = photographed
    (part,) = slices(scored.of(scored.paths[1:2]), ["folder"], root, None)
    assert (part.images, part.ap_interval) == (1, None)
    assert part.as_dict()["ap_interval"] is None


def test_a_word_that_parts_nothing():
    check_kinds(SLICES)
    with pytest.raises(InputError) as caught:
        check_kinds(["folder", "weather"])
    assert (caught.value.thing, caught.value.code) == ("--by", "unknown-name")
