"""The verbs that write, each with its command, and the law that holds wherever one is struck."""

import concurrent.futures
import functools
import hashlib
import multiprocessing
import os
import shutil
import signal
from typing import NamedTuple

from tests import injected


@functools.cache
def _server():
    """A process with a single thread: of the threads that this one has, a fork would know nothing."""
    spawned = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(1, spawned, initializer=_imported)


def _imported():
    import torch

    import masu.evaluation.anchors
    import masu.terminal
    import masu.verbs.check
    import masu.verbs.convert  # noqa: F401 what is imported late is imported now

    torch.set_num_threads(1)


def strike(*arguments):
    """See :func:`tests.injected.strike`."""
    return _server().submit(injected.strike, *arguments).result(timeout=120)


class Verb(NamedTuple):
    """``arguments(data, model)`` writes into ``place``, relative to the folder that it runs in."""

    arguments: object
    place: str
    codes: tuple[int, ...] = (0,)
    model: bool = False
    quick: bool = True
    page: bool = False


CHECKED = (0, 1)  # 1: it found errors in the data
VERBS = {
    "convert": Verb(lambda data, model, out: ["convert", data, out, "--to", "voc"], "made"),
    "convert --link": Verb(lambda data, model, out: ["convert", data, out, "--to", "yolo", "--link"], "made"),
    "check --fix": Verb(lambda data, model, out: ["check", data, "--fix", out], "made", CHECKED),
    "check --html": Verb(
        lambda data, model, out: ["check", data, "--html", out], "a.html", CHECKED, page=True
    ),
    "anchors --html": Verb(
        lambda data, model, out: ["anchors", data, "--html", out], "a.html", page=True, quick=False
    ),
}


class Struck:
    """One verb on one data set, run whole once; then struck as often as wanted."""

    def __init__(self, name, data, folder):
        import torch

        import masu
        from tests.networks import spread

        torch.set_num_threads(1)
        self.verb, self.folder, self.said = VERBS[name], folder / "work", folder / "said.txt"
        self.out = self.folder / self.verb.place
        model = folder / "model.safetensors"
        if self.verb.model:
            torch.manual_seed(0)
            detector = spread(masu.build("faster_rcnn_lite0_fpn", ["coin", "dog"], "imagenet", image_size=64))
            masu.save(detector, model)
        self.arguments = [str(part) for part in self.verb.arguments(data, model, self.out)]
        self._fresh()
        self.before = self._state()
        code, self.events = strike(self.arguments, self.folder, self.said)
        assert code in self.verb.codes, self.said.read_text()
        self.whole = self._state()

    def at(self, event, how):
        """Strike there, look at what is left, and give the command again."""
        self._fresh()
        code, _ = strike(self.arguments, self.folder, self.said, event, how)
        where = f"{how} at {event} of {self.events}, exit code {code}: {self.said.read_text()}"
        files = {name: sum_ for name, sum_ in self._state().items() if not _hidden(name)}
        assert all(self._is_whole(name, sum_) for name, sum_ in files.items()), where
        if self.out.is_dir() and "found" not in self.verb.place:
            assert files.keys() == self.whole.keys(), where
        if how == "SIGKILL":
            assert code in (-signal.SIGKILL, *self.verb.codes), where
        else:
            lines = self.said.read_text().splitlines()
            assert "Traceback" not in self.said.read_text(), where
            assert code in (*self.verb.codes, 2 if how == "full" else 130), where
            if code not in self.verb.codes:
                assert lines[-1].startswith("masu: error: " if how == "full" else "masu: stopped"), where
            assert not any(map(_hidden, self._state())), f"left behind: {self._state().keys()}, {where}"
        if self.verb.place == "made" and self.out.exists():
            shutil.rmtree(self.out)  # whole already: these verbs write into a new folder only
        code, _ = strike(self.arguments, self.folder, self.said)
        assert code in self.verb.codes, f"again: {self.said.read_text()}; {where}"
        assert self._state().keys() == self.whole.keys(), where

    def _is_whole(self, name, content):
        """As before, as the verb writes it whole, or a page that ends."""
        if content in (self.before.get(name), self.whole.get(name)):
            return True
        if self.verb.page:
            return (self.folder / name).read_text().rstrip().endswith("</html>")
        return False

    def _fresh(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        if self.verb.page:
            self.out.write_text("the earlier page")

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
