"""Forked processes: PyTorch's threads do not go with a fork, and whoever waits for them waits for ever.

Nothing tells whether these threads have begun. So a forked process computes with one thread, as the workers
of PyTorch's own ``DataLoader`` do; one that knows better calls ``torch.set_num_threads`` itself. A spawned
process has all its threads.
"""

from __future__ import annotations

import os

import torch

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
