"""Weights: features in, logits and deltas out. Networks know no targets."""
