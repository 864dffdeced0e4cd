"""Models for other programs: photographs in over HTTP, boxes out.

An exported file is served without PyTorch, by :mod:`masu.runtime`; a model of masu needs it.
"""
