"""When tiles are proposed, by hand: three squares of 30 pixels in a picture of 256×192."""

from pathlib import Path

import pytest

from masu.data.audit.small_objects import advice_on_tiles
from masu.data.dataset import Dataset, Sample
from masu.ops.images import InputPolicy
from masu.records import Target
from masu.tiles import Tiles


@pytest.fixture
def data():
    boxes = [[x, 2.0, x + 30.0, 32.0] for x in (0.0, 31.0, 62.0)]
    made = Dataset.of([Sample(Path("a.png"), Target(boxes, [0] * 3))], ("a",))
    made.sizes[:] = (192, 256)
    return made


def test_the_sentence_has_the_figures(data):
    assert advice_on_tiles(data, InputPolicy(96, 192)) == (
        "half of the objects have a side under 15.0 pixels as the network sees them, 30.0 in their pictures: "
        "training with --tiles 640 shows them in full size"
    )


@pytest.mark.parametrize(
    "policy",
    [
        InputPolicy(96, 192, tiles=Tiles(64)),  # there are tiles
        InputPolicy(128, 256),  # 20 pixels are no small object
        InputPolicy(192, 256),  # the picture is not reduced
    ],
)
def test_nothing_is_said_where_tiles_would_not_help(data, policy):
    assert advice_on_tiles(data, policy) is None


def test_nothing_is_said_without_objects_or_sizes(data):
    assert advice_on_tiles(data.keep(data.labels > 0), InputPolicy(96, 192)) is None
    data.sizes[:] = 0
    assert advice_on_tiles(data, InputPolicy(96, 192)) is None


def test_check_tells_it(tmp_path):
    from PIL import Image

    from masu.verbs.check import check

    Image.new("RGB", (1920, 1440)).save(tmp_path / "a.png")
    rows = [f"a.png,{x},10,{x + 30},40,thing" for x in range(0, 600, 50)]
    (tmp_path / "boxes.csv").write_text("\n".join(["file,x1,y1,x2,y2,class", *rows]))
    told = {finding.kind: finding.found for finding in check(tmp_path).findings}
    assert told == {
        "tiles": "half of the objects have a side under 6.7 pixels as the network sees them, 30.0 in their "
        "pictures: training with --tiles 640 shows them in full size"
    }
