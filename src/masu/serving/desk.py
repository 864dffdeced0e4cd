"""Pictures in, boxes out: what every protocol of the server asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from masu.errors import InputError, bad_input, listed
from masu.service.limits import RefusedError
from masu.service.pictures import picture_of
from masu.serving.limits import ServingLimits
from masu.serving.measures import Measures
from masu.serving.models import Array, Found, Served
from masu.serving.turns import Place, Turns
from masu.thresholds import Threshold, check_threshold

Picture = bytes | Array
"""An encoded file, or ``(H, W, 3)`` uint8."""


class Desk:
    """Models, places and counts.

    Args:
        models: at least one, each with a name of its own.
        limits: of requests.

    Attributes:
        models: by name.
        limits: as given.
        turns: places of requests.
        measures: what happened so far.
        ready: whether requests are wanted; False once the server is about to stop.
    """

    def __init__(self, models: Sequence[Served], limits: ServingLimits) -> None:
        self.models = {one.name: one for one in models}
        self.limits = limits
        self.turns, self.measures = Turns(limits), Measures()
        self.ready = True

    def model(self, name: str | None) -> Served:
        """A model by its name, or the only one.

        Raises:
            RefusedError: there is none of that name, or several and none was named.
        """
        if name is None and len(self.models) == 1:
            return next(iter(self.models.values()))
        if name is None or name not in self.models:
            found = "none named" if name is None else f"{name!r:.60}"
            status, known = (400 if name is None else 404), listed(self.models, 8)
            raise RefusedError(status, f"model: found {found}, wanted one of {known}", "MODEL_NOT_FOUND")
        return self.models[name]

    def check(self, model: Served, threshold: Threshold | None, margins: bool) -> None:
        """Refuse what the model cannot do, before it looks.

        Raises:
            InputError: a threshold out of range or of an unknown class, or margins that it lacks.
        """
        if threshold is not None:
            check_threshold(threshold, model.names)
        if margins and not model.has_margins:
            if model.measured("margins"):
                found = f"margins that were measured {model.otherwise}"
                raise bad_input("margins", found, "a server that looks so", "leave margins out")
            fix = "measure them with masu evaluate --store-margins"
            raise bad_input("margins", f"none in the model {model.name}", "a model that has some", fix)

    def find(
        self,
        place: Place,
        model: Served,
        pictures: Sequence[tuple[str | None, Picture]],
        threshold: Threshold | None,
        margins: bool,
        with_picture: Callable[[Array, Found], None] | None = None,
    ) -> list[Found]:
        """What is found in each picture, one in memory at a time.

        Args:
            place: of the request.
            model: that looks.
            pictures: name of the file, where there is one, and its content.
            threshold: smallest score; None: the model's own.
            margins: enlarge boxes.
            with_picture: called with each picture and what was found in it.

        Raises:
            RefusedError: a picture that is none, named where there are several; the request's time is over.
            InputError: as of :meth:`check`.
        """
        self.check(model, threshold, margins)
        made = []
        for at, (name, picture) in enumerate(pictures):
            if place.late:
                raise RefusedError(503, "the request's time is over", "TIMEOUT")
            begun, which = time.perf_counter(), _called(at, name) if len(pictures) > 1 else ""
            try:
                pixels = picture_of(picture, self.limits) if isinstance(picture, bytes) else picture
                found = model.find(pixels, threshold, margins)
            except RefusedError as error:
                raise RefusedError(error.status, f"{which}{error}", error.code) from None
            except InputError as error:
                raise RefusedError(400, f"{which}{error}", "INVALID_IMAGE") from None
            self.measures.prediction(model.name, len(found.names), time.perf_counter() - begun)
            if with_picture is not None:
                with_picture(pixels, found)
            made.append(found)
        return made


def _called(at: int, name: str | None) -> str:
    return f"image {at + 1}: " if name is None else f"image {at + 1} ({name:.60}): "
