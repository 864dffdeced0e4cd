"""Arithmetic of detection: pure functions on tensors, without state and without ``nn.Module``."""

from masu.ops import operators as operators  # registers torch.ops.masu, which functions call in an export
