import torch

from masu.drafts.draft import draft_of
from tests.drafts.finder import DRAWN, FOUND, Finder


def test_numbers_are_short_and_a_box_without_area_goes():
    for name, width in zip(DRAWN, FOUND, strict=True):
        (found,) = Finder().predict([torch.zeros(3, 30, width)])
        made = draft_of(found, (30, width))
        assert list(zip(made.boxes, made.names, made.scores, strict=True)) == DRAWN[name]
        assert (made.size, made.path) == ((30, width), None)
