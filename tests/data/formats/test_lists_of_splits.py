"""Lists of splits where several parts of a data set have their own."""

from __future__ import annotations

from pathlib import Path

from masu.data.formats import read_annotations
from tests.data.formats.minimal import picture, text

PAGE = (
    "<annotation><filename>{stem}.png</filename><size><width>{width}</width><height>48</height></size>"
    "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>12</ymax></bndbox></object>"
    "</annotation>"
)


def year(root: Path, width: int, **lists: str) -> None:
    for stem in " ".join(lists.values()).split():
        picture(root / f"JPEGImages/{stem}.png", width)
        text(root / f"Annotations/{stem}.xml", PAGE.format(stem=stem, width=width))
    for name, stems in lists.items():
        text(root / f"ImageSets/Main/{name}.txt", "\n".join(stems.split()))


def members(root: Path) -> dict[str, list[str]]:
    data = read_annotations(root)
    return {
        str(split): sorted(path.relative_to(root).as_posix() for path in part.paths)
        for split, part in data.parts().items()
    }


def test_voc_of_two_years_side_by_side_has_the_lists_of_both(tmp_path: Path) -> None:
    year(tmp_path / "VOC2007", 64, train="1", test="2")
    year(tmp_path / "VOC2012", 32, train="2 3", val="1")
    assert members(tmp_path) == {
        "train": ["VOC2007/JPEGImages/1.png", "VOC2012/JPEGImages/2.png", "VOC2012/JPEGImages/3.png"],
        "val": ["VOC2012/JPEGImages/1.png"],
        "test": ["VOC2007/JPEGImages/2.png"],
    }


def test_voc_images_beside_their_annotations_come_before_those_of_the_root(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png", 32)
    picture(tmp_path / "one/images/a.png", 64)
    text(tmp_path / "one/annotations/a.xml", PAGE.format(stem="a", width=64))
    assert members(tmp_path) == {"None": ["one/images/a.png"]}
