"""What happened so far, as Prometheus reads it (text format 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from threading import Lock

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds."""

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Measures:
    """Counts of requests, pictures and seconds; any thread may add."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._pictures: Counter[str] = Counter()
        self._boxes: Counter[str] = Counter()
        self._seconds: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def request(self, route: str, status: int) -> None:
        """One request was answered."""
        with self._lock:
            self._requests[route, status] += 1

    def prediction(self, model: str, boxes: int, seconds: float) -> None:
        """One picture was looked at."""
        with self._lock:
            self._pictures[model] += 1
            self._boxes[model] += boxes
            self._seconds.setdefault(model, [0] * (len(BOUNDS) + 1))[bisect_left(BOUNDS, seconds)] += 1
            self._sums[model] = self._sums.get(model, 0.0) + seconds

    def text(self, inside: int, ready: bool) -> str:
        """Everything.

        Args:
            inside: requests that run or wait.
            ready: whether more are wanted.
        """
        with self._lock:
            lines = _head("masu_requests_total", "counter", "Requests that were answered.")
            for (route, status), count in sorted(self._requests.items()):
                lines.append(f'masu_requests_total{{route="{route}",status="{status}"}} {count}')
            for name, what, counts in (
                ("masu_pictures_total", "Pictures that were looked at.", self._pictures),
                ("masu_boxes_total", "Boxes that were found.", self._boxes),
            ):
                lines += _head(name, "counter", what)
                lines += [f"{name}{{{_model(model)}}} {count}" for model, count in sorted(counts.items())]
            name = "masu_prediction_seconds"
            lines += _head(name, "histogram", "Decoding and looking, of one picture.")
            for model, times in sorted(self._seconds.items()):
                below = 0
                for bound, number in zip((*map(str, BOUNDS), "+Inf"), times, strict=True):
                    below += number
                    lines.append(f'{name}_bucket{{{_model(model)},le="{bound}"}} {below}')
                lines.append(f"{name}_sum{{{_model(model)}}} {self._sums[model]:.6f}")
                lines.append(f"{name}_count{{{_model(model)}}} {below}")
        lines += [
            *_head("masu_requests_inside", "gauge", "Requests that run or wait."),
            f"masu_requests_inside {inside}",
        ]
        lines += [*_head("masu_ready", "gauge", "Whether requests are wanted."), f"masu_ready {int(ready)}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, what: str) -> list[str]:
    return [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]


def _model(name: str) -> str:
    escaped = name.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'model="{escaped}"'
