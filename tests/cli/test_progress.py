"""Which parts of a verb show that something goes on: in a terminal, and nowhere else."""

from contextlib import contextmanager

import pytest

from masu import terminal


@pytest.fixture
def shown(monkeypatch):
    """The titles of what was shown, each with how far it came."""
    titles = {}

    @contextmanager
    def counter(what):
        titles[what] = None
        yield lambda done, total: titles.__setitem__(what, (done, total))

    monkeypatch.setattr(terminal, "counter", counter)
    return titles


@pytest.mark.parametrize(
    ("verb", "wanted"),
    [
        ("check", {"reading annotations": None, "looking at images": (6, 6), "comparing images": (4, 4)}),
        (
            "anchors",
            {
                "reading annotations": None,
                "looking at images": (4, 4),
                "measuring anchors, fitting others": None,
            },
        ),
    ],
)
def test_each_part_is_shown_but_not_to_programs(run, coins, shown, verb, wanted):
    code, _, error = run(verb, coins)
    assert code in (0, 1), error
    assert shown == wanted
    shown.clear()
    for option in ("--json", "--quiet"):
        run(verb, coins, option)
        assert shown == {}


def test_nothing_is_shown_where_there_is_no_terminal(run, coins):
    assert "comparing" not in run("check", coins)[2]
