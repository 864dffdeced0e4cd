"""examples/films/counts.py on squares whose ways are known."""

import runpy
from pathlib import Path

from tests.films.scenes import Finder, film, scene

COUNTS = Path(__file__).parents[2] / "examples" / "films" / "counts.py"


def test_a_line_and_a_zone(tmp_path):
    """The line x = 40 is crossed by the red square, whose middle goes 10 … 67; blue's, 106 … 49, stays beyond.

    The zone is the right half: green's middle, 66, and blue's until it is left of 60; red's from 61 on.
    """
    path = film(tmp_path / "walk.mkv", [scene(number) for number in range(20)])
    example = runpy.run_path(str(COUNTS))
    zone = [(60, 0), (119, 0), (119, 79), (60, 79)]
    came, went, inside = example["counts"](Finder(), path, (40, 0, 40, 80), zone)
    assert sorted((came, went)) == [0, 1]
    assert inside[0] == (0, 0), "nobody has a number yet"
    assert inside[1] == (0.1, 2)
    assert inside[19] == (1.9, 2)
    assert [seconds for seconds, _ in inside] == [number / 10 for number in range(20)]
