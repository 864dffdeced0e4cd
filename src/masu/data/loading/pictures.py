"""The pictures of a training: no larger than they are needed, decoded once up to a limit of memory."""

from __future__ import annotations

from pathlib import Path

import torch

from masu.data.pixels.images import read_pixels
from masu.data.pixels.pictures import Reduced, read_reduced

MOST_BYTES = 600_000_000
"""Memory for pictures that a training keeps, all its processes together: about 600 of 640×480 pixels."""


class Pictures:
    """Reads the image files of a data set, again and again.

    Args:
        channels: None for RGB photographs; see :func:`masu.data.pixels.images.read_pixels`.
        shorter: pixels that the shorter side of a photograph has to have; a larger one is read at a half, a
            quarter or an eighth of its size. None reads all as they are.
        most_bytes: memory for pictures that are kept, so that they need not be decoded again; worker
            processes keep none from epoch to epoch.
    """

    def __init__(self, channels: int | None = None, shorter: int | None = None, most_bytes: int = 0) -> None:
        self.channels, self.shorter, self.left = channels, shorter, most_bytes
        self.kept: dict[Path, Reduced] = {}

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"kept": {}}  # to another process go the settings, not the pixels

    def read(self, path: Path) -> tuple[torch.Tensor, Reduced]:
        """An image ``(C, H, W)``, of memory of its own, and what it was made from.

        Raises:
            InputError: a file that cannot be read.
        """
        found = self.kept.get(path)
        if found is None:
            found = self._read(path)
            if found.array.nbytes <= self.left:
                self.left -= found.array.nbytes
                self.kept[path] = found
        return torch.from_numpy(found.array.copy()), found

    def _read(self, path: Path) -> Reduced:
        if self.channels is not None or self.shorter is None:
            image = read_pixels(path, self.channels)
            return Reduced(image.numpy(), 1, (image.shape[1], image.shape[2]))
        reduced = read_reduced(path, self.shorter)
        return reduced._replace(array=reduced.array.transpose(2, 0, 1).copy())
