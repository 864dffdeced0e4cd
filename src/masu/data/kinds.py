"""Faults: what masu found wrong somewhere, and of every kind how bad it is and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "note"]


class Kind(NamedTuple):
    """One kind of fault.

    Attributes:
        severity: ``error``: masu leaves something out, or scores deceive; ``warning``: training may suffer;
            ``note``: good to know.
        title: in words.
        fix: what to do.
    """

    severity: Severity
    title: str
    fix: str


_BOX = "correct the box or delete it"
_FILE = "replace the file or delete its entry"

KINDS: dict[str, Kind] = {
    "no-images": Kind("error", "no image with an annotation", "check where the images lie, and the lists"),
    "annotation": Kind("error", "annotation that cannot be understood", "correct it or export it again"),
    "missing-package": Kind(
        "error", "images that a package which is not installed reads", "install it, or convert them to JPEG"
    ),
    "missing-image": Kind("error", "image that does not exist", "add the image or delete the entry"),
    "unreadable-image": Kind("error", "image that cannot be read", _FILE),
    "unknown-image": Kind("error", "annotation of an unknown image", "correct the image id or delete it"),
    "unknown-class": Kind("error", "annotation of an unknown class", "add the class or correct the id"),
    "not-finite": Kind("error", "box that is not finite", _BOX),
    "no-area": Kind("error", "box without area", _BOX),
    "inverted": Kind("error", "box with its corners in the wrong order", "swap its corners"),
    "outside": Kind("error", "box outside of its image", _BOX),
    "wrong-size": Kind("error", "image of another size than its annotation says", "label the image as it is"),
    "ambiguous-image": Kind(
        "error", "name that several images have", "write its folder into the name, or name one with --images"
    ),
    "shared-label": Kind(
        "error", "label file that two images share", "rename one of the images and give it its own labels"
    ),
    "same-splits": Kind(
        "error",
        "splits with the same images",
        "share them out: masu check DATA --fix DIR does, each image to one",
    ),
    "leak": Kind("error", "same image in two splits", "keep it in one of them"),
    "other-labels": Kind(
        "warning", "image that two splits label in different ways", "make the labels equal or keep one"
    ),
    "unlisted-image": Kind(
        "warning", "labelled image that is in no split", "add it to the list of a split or delete it"
    ),
    "draft": Kind(
        "warning",
        "photograph with drafts of a model that nobody confirmed",
        "masu label DATA, or correct it in the tool that you label with, and delete a list *.masu-drafts "
        "once you have looked at every photograph; masu leaves it out until then",
    ),
    "list-entry": Kind(
        "warning", "entry of a split's list without annotation", "annotate it or delete the line"
    ),
    "missing-split": Kind("warning", "split that does not exist", "add the folder or delete its entry"),
    "shares": Kind(
        "warning", "coordinates that look like shares of the image", "look at some boxes; write pixels"
    ),
    "double-image": Kind("warning", "image listed twice", "delete one entry"),
    "stored-frame": Kind(
        "warning",
        "boxes of the picture before its EXIF data turns it",
        "look at some; masu turns them with the picture",
    ),
    "overhang": Kind("warning", "box that reaches outside of its image", "cut it to the image"),
    "sub-pixel": Kind("warning", "box with a side under a pixel", _BOX),
    "duplicate-box": Kind("warning", "box that is there twice", "delete one"),
    "near-duplicate-box": Kind("warning", "two boxes of one class around the same thing", "delete one"),
    "two-classes": Kind("warning", "two classes for the same thing", "choose one"),
    "similar-names": Kind("warning", "class names that differ in case or blanks", "make them one class"),
    "split-classes": Kind(
        "warning", "split that lacks classes of other splits", "give every split the same list of classes"
    ),
    "unused-class": Kind("warning", "class without objects", "label some or delete the class"),
    "few-objects": Kind("warning", "class with few objects", "label more of them"),
    "not-carried": Kind(
        "note", "what the annotations say besides boxes and classes", "nothing; masu learns from boxes alone"
    ),
    "imbalance": Kind("note", "classes of very different numbers", "look at AP per class, try --balance"),
    "no-empty-images": Kind(
        "note", "no image without objects", "add some of what else may come, saved without a box"
    ),
    "empty-images": Kind("note", "images without objects", "make sure that nothing was left unlabelled"),
    "unlabelled-image": Kind("note", "image without annotation", "label it, or move it elsewhere"),
    "unread-file": Kind("note", "files that are not read", "convert them, or install what reads them"),
    "animated-image": Kind("note", "animated pictures", "nothing; the first frame is taken"),
    "too-small": Kind(
        "warning", "objects too small at the training size", "train with a larger --image-size"
    ),
    "tiles": Kind(
        "note", "objects that are small only because large pictures are reduced", "train with --tiles"
    ),
    "same-image": Kind("warning", "same image file twice", "delete one"),
    "near-image": Kind("note", "almost the same image twice", "look at both; delete one"),
    "near-leak": Kind("warning", "almost the same image in two splits", "keep both in one split"),
    "rotated": Kind(
        "note", "image that is turned by its EXIF data", "boxes must be those of the upright image"
    ),
}
"""By the name that ``Fault.kind`` and ``Finding.kind`` carry, the worst first."""


@dataclass(frozen=True)
class Fault:
    """Something in a data set that masu left out, repaired or doubts.

    Attributes:
        kind: one of :data:`KINDS`, such as ``no-area``.
        file: the annotation or image file.
        where: the place in it, such as ``object 13 (RBC)`` or ``annotation id 57``.
        found: what is wrong, such as ``box 504 337 504 337 has no area``.
        action: what was done, ``skipped`` or ``clipped to 0 0 640 480``.
        image: the image that it is about; None for a file, or for an image that is not there.
        splits: the splits that it is about; none: the whole data set.
    """

    kind: str
    file: Path
    where: str
    found: str
    action: str
    image: Path | None = field(default=None, compare=False)
    splits: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return " ".join(f"{self.file}: {self.where}: {self.found}, {self.action}".split())

    @property
    def costs_an_image(self) -> bool:
        """Whether a whole image is lost or doubtful, not an object of it."""
        return self.kind in _OF_AN_IMAGE or (self.kind, self.where) == ("annotation", "the file")

    @property
    def thing(self) -> object:
        """What it is about, so that several faults of one image count once."""
        return self.image or (self.file, self.where)


_OF_AN_IMAGE = frozenset(
    ("missing-image", "unreadable-image", "ambiguous-image", "shared-label", "wrong-size", "leak")
)
