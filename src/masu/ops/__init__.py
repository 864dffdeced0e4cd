"""Arithmetic of detection: pure functions on tensors, without state and without ``nn.Module``."""
