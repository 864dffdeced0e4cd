"""``masu label`` on a disk that is full while a model learns in the background.

Needs the right to mount a small file system in memory: without it this test fails and says so.
"""

import shutil
from contextlib import suppress

import pytest

from masu.atomic import WriteError
from masu.data.formats import label_files
from masu.labelling.desk import Desk
from masu.labelling.photographs import Photographs
from tests.labelling.test_teaching import trays, until

__all__ = ["trays"]


def fill(disk):
    """To the last block; what gives it back."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler.unlink


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_labels_are_refused_with_words_and_nothing_is_lost(trays, disk, share, figures):
    """It fills before the training begins to write, or in the middle of it."""
    folder, labels = trays
    moved = shutil.copytree(folder, disk / "trays")
    out, told = disk / "out", []
    out.mkdir()
    form, files = label_files(moved)
    desk = Desk(Photographs.below(moved), files, form, out, 3.0, told.append)
    asked = {"version": "", "state": "done", "drafts": None, "seconds": 1.0}
    try:
        desk.sitting.add_class("coin")
        for name in list(labels)[:5]:
            desk.save(name, asked | {"labels": labels[name]})
        until(lambda: (desk.teaching.progress or 0) >= share)
        free = fill(disk)
        before = {file.name: file.read_bytes() for file in moved.glob("*.json")}
        for state in ("done", "unfinished"):
            with pytest.raises(WriteError, match="no space left on device"):
                desk.save("6.png", asked | {"state": state, "labels": labels["6.png"]})
        with pytest.raises(WriteError):
            desk.save("0.png", asked | {"state": "open", "version": desk.sitting.version_of("0.png")})
        until(lambda: desk.status(0)["learning"]["state"] == "failed")
        assert "no space left on device" in desk.status(0)["learning"]["text"]
        assert not list((out / "rounds").glob("*/*.safetensors"))  # they would take the room of labels
        assert {file.name: file.read_bytes() for file in moved.glob("*.json")} == before
        assert desk.photograph("6.png")["state"] == "open"
        free()
        desk.save("6.png", asked | {"labels": labels["6.png"]})
        desk.teaching.consider(now=True)
        assert desk.status(0)["learning"]["state"] == "training"
        until(lambda: desk.status(0)["model"] is not None)
        assert len(list(moved.glob("*.json"))) == 6
    finally:
        desk.close()
    figures(full_disks_survived=1, labels_lost=0)
