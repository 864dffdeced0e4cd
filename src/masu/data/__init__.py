"""Pixels and annotations: read a data set, read an image, change both together, hand out batches.

In the order in which data flows: ``formats`` opens a data set (``voc`` and ``coco`` parse, ``reading``
holds what they share, ``dataset`` what they produce), ``images`` opens pictures, ``transforms`` augments
and ``loader`` makes the batches of an epoch. Imports ``records``, ``errors`` and ``ops`` only.
"""
