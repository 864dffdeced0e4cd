"""Explanation: what became of every object, and which pixels a detection rests on."""
