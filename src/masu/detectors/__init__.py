"""Assembly: ``forward(images) → raw``, ``losses(raw, targets)``, ``detections(raw)``; one file, one paper."""
