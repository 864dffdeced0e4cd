"""LitServe: ``python with_litserve.py MODEL PORT``, then POST ``/predict`` with a file ``image``."""

import sys

import litserve
from PIL import Image

import masu


class DetectorAPI(litserve.LitAPI):
    """Requests that arrive together run together."""

    def __init__(self, path, **settings):
        super().__init__(**settings)
        self.path = path

    def setup(self, device):
        """Once in each worker."""
        self.network = masu.load(self.path).to(device).prediction_network()

    def decode_request(self, request):
        """The picture of a multipart form."""
        return Image.open(request["image"].file).convert("RGB")

    def predict(self, pictures):
        """For a batch of pictures of any sizes."""
        return self.network.predict(pictures, threshold=0.5, batch_size=len(pictures))

    def encode_response(self, found):
        """As JSON."""
        return {"boxes": found.boxes.tolist(), "scores": found.scores.tolist(), "names": found.names}


if __name__ == "__main__":
    api = DetectorAPI(sys.argv[1], max_batch_size=8, batch_timeout=0.02)
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False)
