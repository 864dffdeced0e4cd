"""A folder or a pattern of images as a film: the files are its frames, by the numbers in their names."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from masu.data.pixels.pictures import UnreadableImageError, find_images, read_rgb
from masu.films.frame import About, Frame


@dataclass(frozen=True)
class ImageSequence:
    """Images that follow each other; they know no time.

    Attributes:
        name: the folder or pattern.
        paths: its images, in order.
    """

    name: str
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, name: str) -> ImageSequence:
        """The images of a folder or pattern.

        Raises:
            InputError: where there is none.
        """
        return cls(name, tuple(sorted(find_images([name]), key=_natural)))

    @property
    def stem(self) -> str:
        """The name of the folder."""
        return self.paths[0].resolve().parent.name or "images"

    @property
    def live(self) -> bool:
        """Never."""
        return False

    def about(self) -> About:
        """See :class:`masu.films.frame.Source`."""
        return About(len(self.paths))

    def frames(self, every: int, faults: list[str]) -> Generator[Frame]:
        """See :class:`masu.films.frame.Source`; an image that cannot be read keeps its number."""
        read = 0
        last: UnreadableImageError | None = None
        for number in range(0, len(self.paths), every):
            try:
                image = read_rgb(self.paths[number])
            except UnreadableImageError as error:
                faults.append(str(error))
                last = error
                continue
            read += 1
            yield Frame(number, None, image)
        if last is not None and not read:
            raise last


def _natural(path: Path) -> tuple[str, list[tuple[int, str]]]:
    """``2.jpg`` before ``10.jpg``."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name)
    return str(path.parent), [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
