"""Pixels: image files, arrays and tensors, read as a network or a person wants them."""
