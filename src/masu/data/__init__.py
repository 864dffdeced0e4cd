"""Pixels and annotations, in the order in which data flows.

``pixels`` opens image files. ``formats`` finds and reads annotations, ``fitting`` compares them with the
images; what comes of it is a ``dataset``. ``audit`` finds and mends faults, ``splitting`` shares images out.
``loading`` augments images and makes the batches of an epoch. Imports ``records``, ``errors`` and ``ops``
only.
"""
