"""The process that drafts: it holds the last model, and says what that finds in the photographs asked for.

Standard input has a line ``{"model": FILE, "version"}`` for another model, and ``{"wanted": [[NAME, FILE]]}``
for the photographs to draft next, the first first, in the place of those wanted before. Standard output has a
line for each photograph: ``{"name", "model", "boxes", "names", "scores", "feature", "small"}``, or one with
``"fault"``.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from masu.data.audit.fingerprints import fingerprint_images
from masu.data.pixels.images import read_image
from masu.detectors.build import load
from masu.detectors.looking import looks
from masu.detectors.prediction import PredictionNetwork
from masu.drafts.draft import draft_of
from masu.errors import InputError

Line = dict[str, Any]


def answer(network: PredictionNetwork, name: str, file: str) -> Line:
    """What a model finds in one photograph.

    Args:
        network: the model, asked with as many looks as its thresholds are for.
        name: of the photograph.
        file: where it is.
    """
    try:
        image = read_image(Path(file))
    except InputError as error:
        return {"name": name, "fault": error.found}
    way = network.measured
    (look,) = looks(network, [image], tta=way is not None and way.looks == 2)
    draft = draft_of(look.detections, (image.shape[1], image.shape[2]))
    (fingerprint,) = fingerprint_images([Path(file)])
    return {
        "name": name,
        "boxes": draft.boxes,
        "names": draft.names,
        "scores": draft.scores,
        "feature": look.feature.tolist(),
        "small": base64.b64encode(fingerprint.small.tobytes()).decode(),
    }


def main(lines: SimpleQueue[Line]) -> None:
    """Answer until the process ends."""
    network: PredictionNetwork | None = None
    version = ""
    wanted: list[list[str]] = []
    while True:
        while not lines.empty() or network is None or not wanted:
            said = lines.get()
            if "model" in said:
                version, network = said["version"], load(said["model"]).prediction_network()
            else:
                wanted = said["wanted"][::-1]
        name, file = wanted.pop()
        print(json.dumps({"model": version, **answer(network, name, file)}), flush=True)  # noqa: T201


def _read(lines: SimpleQueue[Line]) -> None:
    """Standard input, until the process that asks is gone."""
    for line in sys.stdin.buffer:
        lines.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    asked: SimpleQueue[Line] = SimpleQueue()
    threading.Thread(target=_read, args=(asked,), daemon=True).start()
    main(asked)
