"""The desk: a sitting, the model that learns beside it, and what the page asks of both, as JSON knows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from masu.data.audit.likeness import like_pictures
from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats import formats
from masu.data.formats.editing import Entry, LabelFiles
from masu.labelling.choice import Open, in_order
from masu.labelling.edits import USUAL
from masu.labelling.held_back import HeldBack, draw
from masu.labelling.models import Model, Models
from masu.labelling.photographs import Photographs
from masu.labelling.sitting import ConflictError, Sitting, View
from masu.labelling.teaching import Situation, Teaching, following
from masu.labelling.unfinished import Suggestion

_ASKED = 6  # photographs that pages asked for last
_AHEAD = 6  # photographs after the one on the page that are drafted with it
_BETWEEN_LOOKS = 2.0  # seconds, at what others have changed in the label files
_LAST = 10  # drafted photographs whose corrections are told

Values = dict[str, Any]


class Desk:
    """One folder of photographs on the page.

    Args:
        photographs: those to label.
        files: the files of their labels.
        form: the format of these.
        out: folder of all that is no label; it exists.
        seconds: of each training; 0 for none.
        log: told in one line what goes wrong.
        flip: whether objects are the same in a mirror.
    """

    def __init__(
        self,
        photographs: Photographs,
        files: LabelFiles,
        form: str,
        out: Path,
        seconds: float,
        log: Callable[[str], None],
        flip: bool = True,
    ) -> None:
        self.form, self.out = form, out
        self.sitting = Sitting(photographs, files, out, log)
        self._asked: tuple[str, ...] = ()
        self._shown: tuple[str, ...] = ()
        self._next_look = 0.0
        self._grouped: tuple[tuple[str, ...], dict[str, int]] = ((), {})
        self._drawn_of = photographs, draw(photographs.paths)
        self._held_back = out / "held-back.json"
        self._asked_to_measure: str | None = None  # of those to hold back, the last one that came
        self.teaching = Teaching(
            photographs.folder,
            form,
            Models(out),
            self._held_back,
            seconds,
            flip=flip,
            situation=self._situation,
            news=self._news,
            fault=self.sitting.unreadable,
            log=log,
        )

    def session(self, order: str) -> Values:
        """What the page begins with."""
        folder = self.sitting.photographs.folder
        return {
            "title": folder.resolve().name,
            "folder": str(folder),
            "format": self.form,
            "crowds": formats()[self.form].crowds,
            "classes": list(self.sitting.classes),
            "order": order,
            "photos": [
                {"id": name, "state": one.state, "boxes": one.boxes, "drafts": one.drafts}
                for name, one in self.sitting.known.items()
            ],
        }

    def photograph(self, name: str) -> Values:
        """One photograph; it and the next ones are drafted first from now on.

        Raises:
            KeyError: no such photograph.
        """
        photographs = self.sitting.photographs
        names, at = list(photographs.paths), photographs.places[name]
        after = (*names[at:], *names[:at])
        open_ = [other for other in after if self.sitting.known[other].state == "open"]
        # pages ask for what comes next, too: the one on show is among the last few
        self._asked = (name, *(other for other in self._asked if other != name))[:_ASKED]
        self._shown = tuple(dict.fromkeys((*self._asked, *open_[:_AHEAD])))
        self.teaching.consider()
        return self._as_json(self.sitting.view(name, self.teaching.found.get(name)))

    def drafts(self, name: str) -> Values:
        """What the last model that looked found in a photograph, whatever a page shows of it.

        Args:
            name: of the photograph.

        Returns:
            ``model``, its version, or None where none has looked yet; and ``drafts``.

        Raises:
            KeyError: no such photograph.
        """
        found = self.teaching.found.get(name) if self.sitting.known[name].state != "locked" else None
        drafts = () if found is None else found.drafts
        return {
            "model": None if found is None else found.model,
            "drafts": [_of_draft(draft, self._least()) for draft in drafts],
        }

    def save(self, name: str, asked: Values) -> Values:
        """Keep what the page sends of a photograph.

        Args:
            name: of the photograph.
            asked: ``state``, ``version``, ``labels``, ``drafts`` and ``seconds``, checked by
                :func:`masu.labelling.wire.saving`.

        Raises:
            KeyError: no such photograph.
            ConflictError, InputError, WriteError: as of :class:`masu.labelling.sitting.Sitting`.
        """
        match asked["state"]:
            case "done":
                view = self.sitting.answer(
                    name,
                    asked["version"],
                    asked["labels"],
                    least=self._least(),
                    seconds=asked["seconds"],
                )
            case "open":
                view = self.sitting.take_back(name, asked["version"])
            case "unfinished":
                view = self.sitting.work_on(name, asked["version"], asked["labels"], asked["drafts"])
            case _:
                view = self.sitting.drop_work(name, asked["version"])
        self.teaching.consider()
        return {"version": view.version, "state": view.state}

    def theirs(self, error: ConflictError) -> Values:
        """What a page is shown whose labels were changed by somebody else."""
        return self._as_json(error.theirs)

    def next(self, after: str | None, order: str) -> Values:
        """The photograph without an answer to show next, and why that one.

        Where they do not come by name, one of five is one to hold back, in an order of chance, and the others
        are none of these as long as there are such.

        Args:
            after: the one on the page, which is not meant.
            order: one of :data:`masu.words.LABEL_ORDERS`.
        """
        open_ = [name for name in self.sitting.in_state("open") if name != after]
        if not open_:
            rest = [name for name in self.sitting.in_state("unfinished") if name != after]
            return {
                "id": rest[0] if rest else None,
                "why": "begun and not finished" if rest else "all are done",
            }
        if order != "name":
            fresh = self._fresh(open_)
            if (name := self._due(fresh, after)) is not None:
                return {"id": name, "why": "at random, as one of five"}
            fresh = [name for name in fresh if name not in self._drawn] or fresh
            if order == "best" and (looked := [name for name in fresh if name in self.teaching.found]):
                return {"id": self._best(looked), "why": "the model is unsure of it, and knows none like it"}
            return {"id": following(after, fresh), "why": "at random"}
        places = self.sitting.photographs.places
        at = places.get(after or "", -1)
        after_it = next((name for name in open_ if places[name] > at), open_[0])
        return {"id": after_it, "why": "in order of names"}

    def status(self, since: int) -> Values:
        """What has changed since the page asked last."""
        sitting, teaching = self.sitting, self.teaching
        if time.monotonic() >= self._next_look:
            sitting.look_for_changes()
            self._next_look = time.monotonic() + _BETWEEN_LOOKS
        found, last = teaching.found, teaching.models.last
        seq, changed = sitting.news(since)
        places = sitting.photographs.places
        drafted = sitting.history.drafted(_LAST)
        return {
            "seq": seq,
            "classes": list(sitting.classes),
            "changed": [
                {
                    "id": name,
                    "at": places[name],
                    "state": one.state,
                    "boxes": one.boxes,
                    "drafts": one.drafts,
                    "version": sitting.version_of(name),
                    "drafted": name in found,
                }
                for name, one in changed
            ],
            "counts": {
                "photos": len(sitting.known),
                "done": len(sitting.in_state("done")),
                "unfinished": len(sitting.in_state("unfinished")),
                "locked": len(sitting.in_state("locked")),
                "boxes": sum(one.boxes for one in sitting.known.values()),
            },
            "learning": {
                "state": teaching.state,
                "text": teaching.text,
                "progress": teaching.progress,
                "needed": teaching.missing,
                "labels": last.labels if last else 0,
            },
            "model": None if last is None else _of_model(last),
            "curve": [
                {
                    "labels": one.labels,
                    "ap50": one.ap50,
                    "low": one.interval[0] if one.interval else None,
                    "high": one.interval[1] if one.interval else None,
                }
                for one in teaching.models.curve
                if one.ap50 is not None
            ],
            "corrections": {
                "last": [one.edits for one in drafted],
                "boxes": sum(one.boxes for one in drafted),
            },
            "doubtful": [{"id": name, "text": doubt.text} for name, doubt in sitting.doubtful(found)],
        }

    def close(self) -> None:
        """End the processes beside the server."""
        self.teaching.close()

    def _least(self) -> dict[str, float]:
        last = self.teaching.models.last
        return {} if last is None else last.thresholds

    def _fresh(self, names: Sequence[str]) -> Sequence[str]:
        """Those that are not almost the same as a labelled one, as far as they were looked at; else all."""
        groups = self._groups()
        old = {groups[name] for name in self.sitting.in_state("done", "unfinished") if name in groups}
        return [name for name in names if groups.get(name) not in old] or names

    def _due(self, names: Sequence[str], after: str | None) -> str | None:
        """The one of the names to hold back that is to come next; None where none is, or all are labelled."""
        measuring = [name for name in names if name in self._drawn]
        labelled = {*self.sitting.in_state("done"), *([after] if after in self.sitting.known else [])}
        if not measuring or not HeldBack(self._held_back).is_due(labelled, self._drawn):
            return None
        self._asked_to_measure = following(self._asked_to_measure, measuring)
        return self._asked_to_measure

    def _best(self, names: Sequence[str]) -> str:
        """The one that the model is most unsure of and that is most unlike those that are labelled."""
        found, last, groups = self.teaching.found, self.teaching.models.last, self._groups()
        models = {found[name].model for name in names}
        model = last.version if last is not None and last.version in models else min(models)
        mine = [name for name in names if found[name].model == model]
        known = [
            found[name].feature
            for name in self.sitting.in_state("done", "unfinished")
            if name in found and found[name].model == model
        ]
        photographs = [Open(found[name].scores, found[name].feature, groups[name]) for name in mine]
        return mine[in_order(photographs, np.array(known), most=1)[0]]

    def _groups(self) -> dict[str, int]:
        """Of each photograph that the model looked at the number of its group of almost the same ones."""
        found = dict(self.teaching.found)
        names = tuple(sorted(found))
        if self._grouped[0] != names:  # what a photograph looks like does not change with the model
            small = np.stack([found[name].small for name in names])
            self._grouped = names, dict(zip(names, like_pictures(small).tolist(), strict=True))
        return self._grouped[1]

    def _situation(self) -> Situation:
        return Situation(
            shown=tuple(name for name in self._shown if self.sitting.known[name].state != "locked"),
            open=self.sitting.in_state("open"),
            done=self.sitting.in_state("done"),
            drawn=self._drawn,
        )

    @property
    def _drawn(self) -> frozenset[str]:
        """The photographs to hold back, labelled or not."""
        photographs = self.sitting.photographs
        if self._drawn_of[0] is not photographs:
            self._drawn_of = photographs, draw(photographs.paths)
        return self._drawn_of[1]

    def _news(self, name: str | None) -> None:
        if name is not None:
            self.sitting.news_of(name)

    def _as_json(self, view: View) -> Values:
        return {
            "id": view.name,
            "width": view.size[1],
            "height": view.size[0],
            "state": view.state,
            "version": view.version,
            "editable": not view.why,
            "why": view.why,
            "labels": [_of_entry(entry) for entry in view.entries],
            "drafts": None
            if view.drafts is None
            else [_of_draft(draft, self._least(), view.drafted) for draft in view.drafts],
            "model": self.teaching.models.last.version if self.teaching.models.last else None,
            "doubts": [asdict(doubt) for doubt in view.doubts],
        }


def _of_entry(entry: Entry) -> Values:
    return {
        "box": list(entry.box),
        "name": entry.name,
        "crowd": bool(entry.flag & CROWD),
        "difficult": bool(entry.flag & DIFFICULT),
        "place": list(entry.place),
    }


def _of_draft(draft: Suggestion, least: Mapping[str, float], every: bool = False) -> Values:
    sure = every or draft.score >= least.get(draft.name, USUAL)
    return {"box": list(draft.box), "name": draft.name, "score": draft.score, "sure": sure}


def _of_model(model: Model) -> Values:
    return {
        "version": model.version,
        "labels": model.labels,
        "held": model.held,
        "ap50": model.ap50,
        "interval": None if model.interval is None else list(model.interval),
        "thresholds": model.thresholds,
    }
