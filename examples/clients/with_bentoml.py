"""BentoML: ``MASU_MODEL=best.safetensors bentoml serve with_bentoml:Detect``."""

import os

import bentoml
from PIL.Image import Image

import masu


@bentoml.service
class Detect:
    """Requests that arrive together run together."""

    def __init__(self):
        self.network = masu.load(os.environ["MASU_MODEL"]).prediction_network()

    @bentoml.api(batchable=True)
    def predict(self, pictures: list[Image]) -> list[dict]:
        """For a batch of pictures of any sizes."""
        every = self.network.predict(pictures, threshold=0.5, batch_size=len(pictures))
        return [
            {"boxes": found.boxes.tolist(), "scores": found.scores.tolist(), "names": list(found.names)}
            for found in every
        ]
