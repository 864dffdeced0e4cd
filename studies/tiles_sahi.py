"""What SAHI finds in pictures with a model of masu: asked and answered as JSON, for :mod:`studies.tiles`.

Its settings are its own but for the size of a slice: as large as masu's tiles, with the same overlap. The
model finds objects in a slice, and in the whole picture, as masu does.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from sahi.models.base import DetectionModel
from sahi.predict import get_sliced_prediction
from sahi.prediction import ObjectPrediction

import masu
from masu.data.pixels.images import read_image


class Asked(DetectionModel):  # type: ignore[misc]
    """A model of masu as SAHI asks it."""

    def load_model(self) -> None:
        """Load it without its own tiles."""
        detector = masu.tiled(masu.load(self.model_path), None)
        self.set_model(detector.prediction_network())

    def set_model(self, model: Any, **kwargs: Any) -> None:
        """Take a model."""
        self.model = model
        self.category_mapping = {str(i): name for i, name in enumerate(model.names)}

    def perform_inference(self, image: Any, **kwargs: Any) -> None:
        """Look at one slice."""
        self._original_predictions = self.model.predict([np.ascontiguousarray(image)])

    def _create_object_prediction_list_from_original_predictions(
        self, shift_amount_list: Any = None, full_shape_list: Any = None
    ) -> None:
        shift, full = shift_amount_list or [[0, 0]], full_shape_list
        shift = shift[0] if isinstance(shift[0], list) else shift
        full = full[0] if full is not None and isinstance(full[0], list) else full
        found = self._original_predictions[0]
        self._object_prediction_list_per_image = [
            [
                ObjectPrediction(
                    bbox=list(one.box),
                    category_id=one.label,
                    score=one.score,
                    category_name=one.name,
                    shift_amount=shift,
                    full_shape=full,
                )
                for one in found
                if one.score >= self.confidence_threshold
            ]
        ]


def main() -> None:
    asked = json.load(sys.stdin)
    model = Asked(model_path=asked["model"], confidence_threshold=0.05, device="cpu")
    found, seconds = [], 0.0
    for path in asked["pictures"]:
        started = time.process_time()
        pixels = read_image(path).permute(1, 2, 0).numpy()
        side = {"slice_height": asked["side"], "slice_width": asked["side"]}
        result = get_sliced_prediction(
            pixels,
            model,
            **side,
            overlap_height_ratio=0.2,
            overlap_width_ratio=0.2,
            verbose=0,
        )
        seconds += time.process_time() - started
        rows = [
            (one.bbox.to_xyxy(), one.score.value, one.category.id) for one in result.object_prediction_list
        ]
        boxes, scores, labels = ([row[k] for row in rows] for k in range(3))
        found.append({"boxes": boxes, "scores": scores, "labels": labels})
    print(json.dumps({"found": found, "seconds": seconds / len(found)}))


if __name__ == "__main__":
    main()
