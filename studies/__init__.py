"""Slow studies whose figures stand in ``docs/``: commands, no tests."""
