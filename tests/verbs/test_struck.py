"""Verbs struck at what they do to the disk: nothing half, nothing left behind, the same command works again."""

import pytest

from tests.struck import VERBS, Struck


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.short])
def test_a_verb_struck_at_a_few_places(verb, coins, tmp_path):
    """All verbs, at all places: ``make test-faults``."""
    Struck(verb, coins, tmp_path).everywhere(VERBS[verb].short)
