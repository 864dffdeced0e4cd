"""Every verb that writes: struck wherever it touches the disk, and on a real disk without room."""

import pytest

from tests.faults.disks import command
from tests.struck import BLOCK, VERBS, Struck

SHARES = (0, 0.25, 0.5, 0.75, 0.98)
"""Of the room that a verb needs."""
DISKS = [name for name in VERBS if not name.startswith(("export", "demo"))]


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_struck_at_what_it_does_to_the_disk(name, coins, tmp_path, figures):
    figures(strikes=Struck(name, coins, tmp_path).everywhere(VERBS[name].long))


@pytest.mark.parametrize("name", DISKS)
def test_a_verb_on_a_disk_without_room(name, coins, tmp_path, disk, figures):
    struck = Struck(name, coins, tmp_path, disk)

    def resize(size):
        command("mount", "-o", f"remount,size={'2g' if size is None else max(size, BLOCK)}", str(disk))

    for share in SHARES:
        struck.on_a_full_disk(share, resize)
    figures(full_disks=len(SHARES))
