"""Ray Serve: ``serve.run(Detect.bind(path))``, then POST a picture file as the body."""

import io

from PIL import Image
from ray import serve

import masu


@serve.deployment
class Detect:
    """Requests that arrive together run together."""

    def __init__(self, path):
        self.network = masu.load(path).prediction_network()

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.02)
    async def found(self, pictures):
        """For a batch of pictures of any sizes."""
        every = self.network.predict(pictures, threshold=0.5, batch_size=len(pictures))
        return [
            {"boxes": found.boxes.tolist(), "scores": found.scores.tolist(), "names": found.names}
            for found in every
        ]

    async def __call__(self, request):
        """One picture, as JSON."""
        return await self.found(Image.open(io.BytesIO(await request.body())).convert("RGB"))
