"""Label Studio: detections as predictions to start labelling from."""


def as_prediction(found, width, height, version="masu"):
    """For ``"predictions"`` of a task; its tags are ``<RectangleLabels name="label" toName="image">``."""
    regions = []
    for (x1, y1, x2, y2), score, name in zip(
        found.boxes.tolist(), found.scores.tolist(), found.names, strict=True
    ):
        place = {"x": x1 / width, "y": y1 / height, "width": (x2 - x1) / width, "height": (y2 - y1) / height}
        regions.append(
            {
                "from_name": "label",
                "to_name": "image",
                "type": "rectanglelabels",
                "original_width": width,
                "original_height": height,
                "score": score,
                "value": {k: 100 * v for k, v in place.items()} | {"rotation": 0, "rectanglelabels": [name]},
            }
        )
    return {"model_version": version, "score": min(found.scores.tolist(), default=0.0), "result": regions}
