"""The two processes beside the server, as they run."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import skimage.data
from PIL import Image

from masu.atomic import WriteError
from masu.data.formats import label_files
from masu.data.formats.editing import Entry
from masu.drafts.model import version_of
from masu.labelling.background import Process
from masu.labelling.desk import Desk
from masu.labelling.models import Models
from masu.labelling.photographs import Photographs
from tests.conftest import COINS


@pytest.fixture
def trays(tmp_path):
    """Nine cuts of one photograph of coins, and what is in each."""
    photograph = Image.fromarray(skimage.data.coins()).convert("RGB")
    folder = tmp_path / "trays"
    folder.mkdir()
    labels = {}
    for number in range(9):
        left = 8 * number
        photograph.crop((left, 0, left + 240, 120)).save(folder / f"{number}.png")
        labels[f"{number}.png"] = [
            Entry((x1 - left, y1, x2 - left, y2), "coin")
            for x1, y1, x2, y2 in COINS
            if x1 >= left and x2 <= left + 240
        ]
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder, labels


def until(done, seconds=120):
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.1)
    return found


def test_five_photographs_teach_a_model_that_drafts_the_others(trays, tmp_path):
    folder, labels = trays
    out, told = tmp_path / "out", []
    out.mkdir()
    form, files = label_files(folder)
    desk = Desk(Photographs.below(folder), files, form, out, 1.0, told.append)
    try:
        desk.sitting.add_class("coin")
        asked = {"version": "", "state": "done", "drafts": None, "seconds": 1.0}
        for name in list(labels)[:4]:
            desk.save(name, asked | {"labels": labels[name]})
        status = desk.status(0)
        assert (status["learning"]["state"], status["learning"]["needed"]) == ("waiting", 1)
        desk.save("4.png", asked | {"labels": labels["4.png"]})
        assert desk.status(0)["learning"]["state"] == "training"
        desk.photograph("7.png")
        until(lambda: "7.png" in desk.teaching.found)
        model = desk.status(0)["model"]
        assert (model["labels"], model["held"], model["version"][:4]) == (5, 0, "out-")
        assert desk.photograph("7.png")["drafts"] is not None
        until(lambda: desk.status(0)["learning"]["state"] == "ready")
        assert desk.sitting.known["broken.png"].state == "locked"
        assert told == []
        assert np.isfinite(desk.teaching.found["7.png"].feature).all()
        assert desk.next("7.png", "best")["id"] in {"5.png", "6.png", "8.png"}
    finally:
        desk.close()
    assert not (out / "rounds").exists()
    again = Models(out)  # as after another start
    assert again.last.version.endswith(version_of(again.file)[-8:])


def test_a_process_ends_with_the_one_that_began_it():
    """The learner reads its task and then waits: its standard input closes when the server is killed."""
    script = (
        "import sys, time\n"
        "from masu.labelling.background import Process\n"
        "made = Process('masu.labelling.drafter', print, print)\n"
        "print(made._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as server:
        child = int(server.stdout.readline())
        server.kill()
        server.wait()
    until(lambda: not _runs(child), 60)


def test_what_a_process_says_last_is_told_when_it_fails():
    ended, said = threading.Event(), []
    Process("masu.labelling.no_such_module", print, lambda text: (said.append(text), ended.set()))
    assert ended.wait(60)
    assert "no_such_module" in said[0]


def test_a_model_that_was_only_half_put_in_place_counts_for_nothing(tmp_path):
    (tmp_path / "models.json").write_text(
        '{"models": [{"version": "x-00000000", "answers": 5, "labels": 5, "held": 0, "ap50": null, '
        '"interval": null, "thresholds": {}}]}'
    )
    assert Models(tmp_path).last is None
    (tmp_path / "best.safetensors").write_bytes(b"another")
    assert Models(tmp_path).last is None


def test_a_model_for_whose_figures_there_is_no_room_is_not_taken(tmp_path, monkeypatch):
    def full(path, text):
        raise WriteError(f"{path}: no space")

    models = Models(tmp_path)
    said = {"labels": 5, "held": 0, "ap50": None, "interval": None, "thresholds": {}}
    for content in (b"one", b"two"):
        made = tmp_path / "rounds" / content.decode()
        made.parent.mkdir(exist_ok=True)
        made.write_bytes(content)
        if content == b"two":
            monkeypatch.setattr("masu.labelling.models.write_text", full)
            with pytest.raises(WriteError):
                models.take(said | {"model": str(made)}, 9)
        else:
            models.take(said | {"model": str(made)}, 5)
    assert (models.file.read_bytes(), len(models.curve)) == (b"one", 1)
    assert Models(tmp_path).last == models.last


def _runs(process):
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
