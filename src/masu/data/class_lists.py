"""Which classes each image was checked for, as federated data such as LVIS say it.

Source: Gupta et al. 2019, "LVIS: A Dataset for Large Vocabulary Instance Segmentation", section 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from masu.data.grouped import rows_of

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Lists:
    """A list of classes for each of ``N`` images, in two flat arrays.

    Attributes:
        starts: ``(N + 1,)`` int64; image ``i`` has ``labels[starts[i]:starts[i + 1]]``.
        labels: int32, those of an image rising.
    """

    starts: Array
    labels: Array

    @classmethod
    def of(cls, images: Array, labels: Array, count: int) -> Lists:
        """Lists for ``count`` images from ``(L,)`` images and classes; a pair that is there twice is one."""
        order = np.lexsort((labels, images))
        images, labels = images[order], labels[order]
        again = np.zeros(len(images), np.bool_)
        again[1:] = (images[1:] == images[:-1]) & (labels[1:] == labels[:-1])
        images, labels = images[~again], labels[~again]
        return cls(np.searchsorted(images, np.arange(count + 1)), labels.astype(np.int32))

    def __getitem__(self, image: int) -> Array:
        own: Array = self.labels[self.starts[image] : self.starts[image + 1]]
        return own

    def take(self, chosen: Array) -> Lists:
        """The lists of chosen images, in that order."""
        rows, starts = rows_of(self.starts, chosen)
        return Lists(starts, self.labels[rows])

    def moved(self, images: Array, classes: Array, count: int) -> Lists:
        """As :meth:`ClassLists.moved`."""
        owners = images[np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))]
        labels = classes[self.labels]
        kept = (owners >= 0) & (labels >= 0)
        return Lists.of(owners[kept], labels[kept], count)


@dataclass(frozen=True, eq=False)
class ClassLists:
    """What is known of the labels of ``N`` images, class by class.

    Attributes:
        listed: ``(N,)`` bool, images that were checked for the classes of their objects and for those in
            ``absent``, but for no others. All other images were checked for every class.
        absent: classes that were looked for and are not there (LVIS: ``neg_category_ids``).
        partial: classes of which not every object is labelled (``not_exhaustive_category_ids``).
    """

    listed: Array
    absent: Lists
    partial: Lists

    def take(self, chosen: Array) -> ClassLists:
        """What is known of chosen images, in that order."""
        return ClassLists(self.listed[chosen], self.absent.take(chosen), self.partial.take(chosen))

    def moved(self, images: Array, classes: Array, count: int) -> ClassLists:
        """The same of other images and classes; where several become one, it has all of their lists.

        Args:
            images: ``(N,)`` the new position of each image, −1 where it is left out.
            classes: ``(K,)`` the new label of each class, −1 where it is left out.
            count: number of new images.
        """
        listed = np.zeros(count, np.bool_)
        listed[images[self.listed & (images >= 0)]] = True
        return ClassLists(
            listed, self.absent.moved(images, classes, count), self.partial.moved(images, classes, count)
        )
