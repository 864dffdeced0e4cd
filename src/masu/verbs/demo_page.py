"""The demo's page: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from masu.evaluation.metrics import Metrics
from masu.pages.charts import duration, history_chart, share
from masu.pages.page import render
from masu.pages.pictures import Shown


@dataclass(frozen=True)
class Picture:
    """A test scene.

    Attributes:
        shown: the picture, what is there and what was found.
        there: names of its labelled objects.
        found: names of the detections shown.
    """

    shown: Shown
    there: tuple[str, ...]
    found: tuple[str, ...]


@dataclass(frozen=True)
class DemoPage:
    """Everything that the page says.

    Attributes:
        metrics: scores on the test scenes.
        history: one dict per epoch with ``epoch``, ``loss`` and, where evaluated, ``ap50``.
        pictures: test scenes.
        threshold: lowest score of a detection in them.
        architecture: name of the trained architecture.
        images: number of training, validation and test scenes.
        objects: number of labelled objects in each of them.
        seconds: the whole demo.
        training_seconds: time in training steps.
        threads: threads that computed.
        model_bytes: size of the model file.
    """

    metrics: Metrics
    history: Sequence[dict[str, Any]]
    pictures: tuple[Picture, ...]
    threshold: float
    architecture: str
    images: tuple[int, int, int]
    objects: tuple[int, int, int]
    seconds: float
    training_seconds: float
    threads: int
    model_bytes: int


def render_page(page: DemoPage) -> str:
    """The page as HTML: names escaped, pictures and charts embedded, nothing fetched from elsewhere."""
    charts = {"AP50 on the validation scenes": "ap50", "Training loss": "loss"}
    return render(
        "demo.html.j2",
        {"share": share, "duration": duration},
        page=page,
        charts={title: history_chart(page.history, key) for title, key in charts.items()},
    )
