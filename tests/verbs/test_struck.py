"""Verbs struck at what they do to the disk: nothing half, nothing left behind, the same command works again."""

import pytest

from tests.struck import VERBS, Struck

HOWS = ("SIGKILL", "SIGTERM", "SIGINT", "full")


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.quick])
def test_a_verb_struck_at_a_few_places(verb, coins, tmp_path):
    struck = Struck(verb, coins, tmp_path)
    for number, how in enumerate(HOWS):
        for at in (1 + number, struck.events // 2 + number, struck.events):
            struck.at(at, how)
