"""The verbs that write, each with its command, and the law that holds wherever one is struck."""

import concurrent.futures
import csv
import functools
import gzip
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

from defusedxml import ElementTree
from PIL import Image

from tests import injected


@functools.cache
def _server():
    """A process with a single thread: of the threads that this one has, a fork would know nothing."""
    spawned = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(1, spawned, initializer=_imported)


def _imported():
    import timm  # noqa: F401 what is imported late is imported now
    import torch

    import masu.bulk.job
    import masu.evaluation.anchors
    import masu.evaluation.error_page
    import masu.explanation.explain
    import masu.exports.exported
    import masu.films.source
    import masu.terminal
    import masu.verbs.calibrate
    import masu.verbs.check
    import masu.verbs.convert
    import masu.verbs.detect
    import masu.verbs.export  # noqa: F401

    torch.set_num_threads(1)


def strike(*arguments):
    """See :func:`tests.injected.strike`."""
    return _server().submit(injected.strike, *arguments).result(timeout=240)


def kill_within(*arguments):
    """See :func:`tests.injected.kill_within`."""
    return _server().submit(injected.kill_within, *arguments).result(timeout=240)


class Verb(NamedTuple):
    """A command that writes.

    Attributes:
        arguments: ``arguments(data, model, out)``.
        place: what it writes, relative to the folder that it runs in.
        codes: exit codes of a whole run.
        earlier: what stands at ``place`` before: ``"page"``, ``"model"`` or nothing.
        anew: it writes into a new folder only, so that a whole one is removed before the command is given again.
        parts: it may leave whole files of a run that did not end.
        short: places at which the suite strikes, each in every way; 0: none.
        long: places at which ``make test-faults`` does; 0: at everything that it does to the disk.
    """

    arguments: object
    place: str
    codes: tuple[int, ...] = (0,)
    earlier: str = ""
    anew: bool = False
    parts: bool = False
    short: int = 0
    long: int = 0


CHECKED = (0, 1)  # 1: it found errors in the data


def _detect(*more):
    return lambda data, model, out: ["detect", model, f"{data}/images/val", "--out", out, *more]


def _export(to):
    return lambda data, model, out: ["export", model, "--to", to, "--out", out]


VERBS = {
    "convert": Verb(
        lambda data, model, out: ["convert", data, out, "--to", "voc"], "made", anew=True, short=1, long=6
    ),
    "convert --link": Verb(
        lambda data, model, out: ["convert", data, out, "--to", "yolo", "--link"],
        "made",
        anew=True,
        short=1,
        long=6,
    ),
    "check --fix": Verb(
        lambda data, model, out: ["check", data, "--fix", out], "made", CHECKED, anew=True, short=1, long=6
    ),
    "check --report": Verb(
        lambda data, model, out: ["check", data, "--report", out], "a.html", CHECKED, earlier="page", short=1
    ),
    "anchors --report": Verb(
        lambda data, model, out: ["anchors", data, "--report", out], "a.html", earlier="page"
    ),
    "explain": Verb(
        lambda data, model, out: ["explain", model, f"{data}/images/val/0.png", "--out", out],
        "a.html",
        earlier="page",
    ),
    "evaluate --report": Verb(
        lambda data, model, out: ["evaluate", model, data, "--report", out], "a.html", earlier="page"
    ),
    "evaluate --store-thresholds": Verb(
        lambda data, model, out: ["evaluate", out, data, "--store-thresholds"],
        "own.safetensors",
        earlier="model",
        short=1,
    ),
    "detect --out, json": Verb(_detect("--to", "json"), "found", parts=True, short=1, long=4),
    "detect --out, csv": Verb(_detect("--to", "csv"), "found", parts=True, long=3),
    "detect --out, coco": Verb(_detect("--to", "coco"), "found", parts=True, long=3),
    "detect --out, parquet": Verb(_detect("--to", "parquet"), "found", parts=True, short=1, long=4),
    "export, onnx": Verb(_export("onnx"), "m.onnx", long=2),
    "export, openvino": Verb(_export("openvino"), "m.xml", long=2),
    "export, torch": Verb(_export("torch"), "m.pt2", long=2),
    "demo": Verb(lambda data, model, out: ["demo", "--out", out], "demo", parts=True, long=2),
}
BLOCK = 4096
HOWS = ("SIGKILL", "SIGTERM", "SIGINT", "full")


class Struck:
    """One verb on one data set, run whole once; then struck as often as wanted. It writes on ``disk``."""

    def __init__(self, name, data, folder, disk=None):
        import torch

        import masu
        from tests.networks import normalised, spread, tiny

        torch.set_num_threads(1)
        self.verb, self.folder, self.said = VERBS[name], (disk or folder) / "work", folder / "said.txt"
        self.out = self.folder / self.verb.place
        self.model = folder / "model.safetensors"
        torch.manual_seed(0)
        small = masu.build(tiny("faster_rcnn_lite0_fpn"), ["coin", "dog"], "none", image_size=64)
        detector = spread(normalised(small))
        masu.save(detector, self.model)
        self.arguments = [str(part) for part in self.verb.arguments(data, self.model, self.out)]
        self._fresh()
        self.before, empty = self._state(), self._bytes()
        code, self.events = strike(self.arguments, self.folder, self.said)
        assert code in self.verb.codes, self.said.read_text()
        self.whole, self.written = self._state(), self._bytes() - empty
        assert self.events, f"{self.arguments} touched nothing"
        assert not [file for file in self.whole if not _reads(self.folder / file)]

    def everywhere(self, places):
        """Strike in every way at so many places, those of each way apart; 0: at all. How often that was."""
        strikes = [
            (1 + (place * len(HOWS) + number) * (self.events - 1) // max(places * len(HOWS) - 1, 1), how)
            for place in range(places)
            for number, how in enumerate(HOWS)
        ] or [(at, how) for at in range(1, self.events + 1) for how in HOWS]
        for at, how in strikes:
            self.at(at, how)
        return len(strikes)

    def at(self, event, how):
        """Strike there, look at what is left, and give the command again."""
        self._fresh()
        code, _ = strike(self.arguments, self.folder, self.said, event, how)
        self._judge(code, how, f"{how} at {event} of {self.events}")
        self._again(code)

    def on_a_full_disk(self, share, resize):
        """With room for a share of what it writes; ``resize(bytes)`` gives the disk so much, or all with None."""
        self._fresh()
        room = int(self.written * share)
        resize(self._bytes() + room)
        code, _ = strike(self.arguments, self.folder, self.said)
        self._judge(code, "full", f"a disk with {room} bytes of room")
        resize(None)
        self._again(code)

    def _judge(self, code, how, where):
        where = f"{where}, exit code {code}: {self.said.read_text()}"
        self._look(where, killed=how == "SIGKILL")
        if how == "SIGKILL":
            assert code in (-signal.SIGKILL, *self.verb.codes), where
        else:
            lines = self.said.read_text().splitlines()
            assert "Traceback" not in self.said.read_text(), where
            assert code in (*self.verb.codes, 2 if how == "full" else 130), where
            if code not in self.verb.codes:
                assert lines[-1].startswith("masu: error: " if how == "full" else "masu: stopped"), where

    def _again(self, before):
        """The same command, as nothing had happened; a data set that is there already is made anew."""
        if (self.verb.anew and self.out.exists()) or (self.verb.place == "demo" and before == 0):
            shutil.rmtree(self.out)
        code, _ = strike(self.arguments, self.folder, self.said)
        assert code in self.verb.codes, f"again: {self.said.read_text()}"
        assert self._state().keys() == self.whole.keys()

    def _look(self, where, killed):
        """Nothing half, and nothing left but where nobody could clear it away."""
        state = self._state()
        shown = {name: content for name, content in state.items() if not _hidden(name)}
        for name, content in shown.items():
            as_one_writes_it = content in (self.before.get(name), self.whole.get(name))
            assert as_one_writes_it or _reads(self.folder / name), f"half: {name}, {where}"
        if self.out.is_dir() and not self.verb.parts:
            assert shown.keys() == self.whole.keys(), where
        if not killed:
            assert shown.keys() == state.keys(), f"left behind: {state.keys()}, {where}"

    def _fresh(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        if self.verb.earlier == "page":
            self.out.write_text("the earlier page")
        elif self.verb.earlier == "model":
            shutil.copy(self.model, self.out)

    def _bytes(self):
        """On the disk, which counts in blocks."""
        files = [path for path in self.folder.rglob("*") if path.is_file() or path.is_symlink()]
        return sum(-(-path.lstat().st_size // BLOCK) * BLOCK for path in files)

    def _state(self):
        """Every file and folder with the sum over its content."""
        found = {}
        for place, folders, files in os.walk(self.folder):
            for name in folders:
                found[os.path.relpath(os.path.join(place, name), self.folder)] = "folder"
            for name in files:
                path = os.path.join(place, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, self.folder)] = hashlib.sha256(file.read()).hexdigest()
        return found


def _hidden(name):
    return any(part.startswith(".") for part in name.split(os.sep))


def _reads(path):
    """Whether a file is whole, as its kind tells: it reads to its end, or its checksum is its own."""
    return path.is_dir() or path.is_symlink() or _READERS[path.suffix](path)


def _page(path):
    return path.read_text().rstrip().endswith("</html>")


def _json(path):
    return json.loads(path.read_text()) is not None


def _json_lines(path):
    return all(json.loads(line) for line in path.read_text().splitlines())


def _table(path):
    rows = list(csv.reader(path.read_text().splitlines()))
    return path.read_text().endswith("\n") and len({len(row) for row in rows}) == 1


def _picture(path):
    with Image.open(path) as image:
        image.load()
    return True


def _tensors(path):
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return all(file.get_tensor(name) is not None for name in file.keys())  # noqa: SIM118 not a mapping


def _sealed(path):
    from masu.seal import broken

    return broken(path, [path.with_suffix(".bin")] if path.suffix == ".xml" else []) is None


def _weights_beside(path):
    """OpenVINO's weights: put in place first; the ``.xml`` after them has the checksum over both."""
    return path.stat().st_size > 0


def _tree(path):
    return ElementTree.parse(path) is not None


def _parquet(path):
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path) is not None


def _text(path):
    return path.read_text().endswith("\n") or path.name == "lock"


_READERS = {
    ".html": _page,
    ".json": _json,
    ".jsonl": _json_lines,
    ".csv": _table,
    ".jpg": _picture,
    ".png": _picture,
    ".safetensors": _tensors,
    ".onnx": _sealed,
    ".pt2": _sealed,
    ".xml": lambda path: _sealed(path) if path.with_suffix(".bin").exists() else _tree(path),
    ".bin": _weights_beside,
    ".parquet": _parquet,
    ".gz": lambda path: isinstance(json.loads(gzip.decompress(path.read_bytes())), list),
    ".yaml": _text,
    ".txt": _text,
    "": lambda path: Path(path).name == "lock",
}
