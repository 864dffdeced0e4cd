"""The page of ``masu demo`` with figures by hand."""

from masu.verbs.demo_page import DemoPage


def demo_page(metrics, pictures, history=3):
    """A page of some epochs; figures and pictures are the caller's."""
    return DemoPage(
        metrics=metrics,
        history=[{"epoch": i + 1, "loss": 1.5 / (i + 1), "ap50": 0.2 * i} for i in range(history)],
        pictures=pictures,
        threshold=0.5,
        architecture="faster_rcnn_lite0_fpn",
        images=(300, 40, 80),
        objects=(950, 120, 250),
        seconds=365.0,
        training_seconds=301.0,
        threads=2,
        model_bytes=23_000_000,
    )
