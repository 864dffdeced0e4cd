"""CVAT: drafts for a task; `cvat-cli task auto-annotate` takes the module masu.cvat."""

import cvat_sdk.auto_annotation as cvataa

from masu.cvat import CvatFunction


def draft_task(client, task, detector, **options):
    """Rectangles of a detector in the task of this number; labels are matched by their names."""
    cvataa.annotate_task(client, task, CvatFunction(detector), **options)
