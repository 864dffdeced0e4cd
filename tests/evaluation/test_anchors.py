"""masu anchors: counts by hand and against the anchors that a detector really lays out."""

import json

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from masu import InputError, build, read_dataset
from masu.cli import cli
from masu.data.loading.network_scale import scaled_objects
from masu.data.pixels.images import read_image
from masu.detectors.build import configuration
from masu.detectors.targets import targets_at_network_size
from masu.detectors.zoo import DEFAULT
from masu.evaluation.anchors import anchor_report, coverage, fitted, level_steps, write_page
from masu.ops.geometry import iou
from masu.ops.images import InputPolicy
from masu.tiles import Tiles


def test_coverage_is_that_of_the_anchors_the_detector_lays_out(coins):
    data = read_dataset(coins, "train")
    config = configuration(DEFAULT)
    detector = build(DEFAULT, data.names, "none").rpn
    best = []
    for path, target in data:
        with torch.no_grad():
            raw = detector([read_image(path)])
        best.append(iou(targets_at_network_size([target], raw.images)[0].boxes, raw.anchors).amax(1))
    best = torch.cat(best)
    found = coverage(config, scaled_objects(data, config.pyramid.input))
    assert found.objects == len(best) == 15
    assert found.under_50 == int((best < 0.5).sum())
    assert found.under_70 == int((best < 0.7).sum())
    assert found.mean == pytest.approx(float(best.mean()), abs=1e-5)


def test_every_object_is_in_one_group_of_each_kind(coins):
    report = anchor_report(read_dataset(coins), DEFAULT)
    for c in (report.own, report.fitted):
        for groups in (c.by_size, c.by_shape, c.by_level):
            assert sum(g.objects for g in groups) == c.objects == sum(c.histogram)
            assert sum(g.under_50 for g in groups) == c.under_50
            assert sum(g.under_70 for g in groups) == c.under_70
        assert c.low_quality + c.unreachable == c.under_70  # this detector's threshold is 0.7
    assert report.fitted.mean > report.own.mean
    assert report.fitted.under_70 < report.own.under_70


def test_fitted_anchors_keep_the_shape_of_the_head(coins):
    config = configuration(DEFAULT)
    pyramid = fitted(config, scaled_objects(read_dataset(coins), config.pyramid.input))
    assert [len(sizes) for sizes in pyramid.anchor_sizes] == [1, 1, 1, 1]
    assert len(pyramid.anchor_ratios) == 3
    assert level_steps(config) == (8, 16, 32, 64)


def test_the_size_that_the_network_sees_decides(coins):
    small, large = (anchor_report(read_dataset(coins), DEFAULT, size) for size in (128, 512))
    ratio = torch.tensor(large.shapes) / torch.tensor(small.shapes)
    torch.testing.assert_close(ratio, torch.full_like(ratio, 4.0))
    assert (small.min_size, large.max_size) == (128, 1024)


def write_csv(folder, rows):
    Image.new("RGB", (320, 320)).save(folder / "a.png")
    lines = [f"a.png,{x1},{y1},{x2},{y2},thing" for x1, y1, x2, y2 in rows]
    (folder / "boxes.csv").write_text("\n".join(["file,x1,y1,x2,y2,class", *lines]))
    return folder / "boxes.csv"


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        (
            [(28, 28, 52, 52), (136, 136, 184, 184)],
            "the model's own anchors reach 100.0% of the objects at IoU 0.5: keep them",
        ),
        (
            [(4, 150, 316, 170), (4, 50, 316, 70)],
            "100.0% of the objects have no anchor at IoU 0.5, with fitted ones 0.0%: compare a training with --anchors auto",
        ),
        (
            [(28, 28, 32, 32), (102, 102, 106, 106)],
            "2 of 2 objects are under 8 px at this size, too small for any anchor to help: train with "
            "--image-size 640, or cut the images into tiles; 100.0% of the objects have no anchor at IoU 0.5 "
            "and fitting sizes and ratios does not change that: another --image-size may",
        ),
    ],
)
def test_advice(tmp_path, boxes, said):
    assert anchor_report(read_dataset(write_csv(tmp_path, boxes)), DEFAULT).advice == said


def test_without_objects(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    (tmp_path / "boxes.csv").write_text("file,x1,y1,x2,y2,class\na.png,,,,,\n")
    with pytest.raises(InputError, match="found 1 images without an object, wanted objects to cover"):
        anchor_report(read_dataset(tmp_path / "boxes.csv", names=("thing",)), DEFAULT)


def test_command_line(coins, tmp_path):
    page = tmp_path / "pages" / "anchors.html"
    done = CliRunner().invoke(cli, ["anchors", str(coins), "--report", str(page), "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["own"]["objects"] == 15
    assert figures["own"]["sizes"] == [[24.0], [48.0], [112.0], [224.0]]
    assert figures["advice"]
    assert "Anchors of faster_rcnn_lite0_fpn on 15 objects" in page.read_text(encoding="utf-8")
    table = CliRunner().invoke(cli, ["anchors", str(coins), "--image-size", "256"])
    assert "faster_rcnn_lite0_fpn at 256 px: 15 objects in 4 images" in table.stdout


def test_the_page_holds_every_object_and_anchor(coins, tmp_path):
    report = anchor_report(read_dataset(coins), DEFAULT)
    write_page(report, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count('class="object"') == report.own.objects
    assert text.count('class="own"') + text.count('class="fitted"') >= 2 * 12
    assert "http" not in text
    for group in report.own.by_size:
        assert text.count(f'<tr><th scope="row">{group.name}</th><td>{group.objects}</td>') == 1


def test_objects_of_pictures_that_are_cut_are_those_of_their_windows(coins):
    """256×128 pixels: at 64 px of the shorter side coins have half of their size, in tiles all of it."""
    data = read_dataset(coins, "train")
    whole = scaled_objects(data, InputPolicy(64, 128))
    tiled = scaled_objects(data, InputPolicy(128, 128, tiles=Tiles(128)))
    assert {*tiled.boxes} == {(128, 128), (64, 128)}
    own = {tuple(one) for one in (2 * whole.shapes).round().tolist()}
    in_windows = tiled.boxes[128, 128]
    shapes = (in_windows[:, 2:] - in_windows[:, :2]).flip(1).round()
    inside = (in_windows[:, :2] > 0).all(1) & (in_windows[:, 2:] < 128).all(1)
    assert {tuple(one) for one in shapes[inside].tolist()} == own
    assert tiled.images == whole.images == 4
