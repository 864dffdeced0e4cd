"""Tables: how they name images."""

from masu.data.formats import read_dataset
from tests.data.formats.minimal import picture, text


def test_a_table_may_name_its_images_without_suffix(tmp_path):
    picture(tmp_path / "images/a.b.png")
    text(tmp_path / "labels.csv", "image_id,xmin,ymin,xmax,ymax,label\na.b,1,2,9,12,cat\n")
    assert [path.name for path, _ in read_dataset(tmp_path)] == ["a.b.png"]
