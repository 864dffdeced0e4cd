"""Evaluation: predictions, COCO figures, errors, and how well anchors cover the objects."""
