"""Pictures of a page: embedded, with words at their boxes, worked by hand."""

import base64
import io

from PIL import Image

from masu.pages.pictures import Chip, Mark, Shown, embedded


def opened(uri):
    head, _, content = uri.partition(",")
    return head, Image.open(io.BytesIO(base64.b64decode(content)))


def test_a_picture_is_made_small_and_stays_as_it_is():
    picture = Image.new("RGB", (300, 200), (10, 200, 30))
    head, small = opened(embedded(picture, side=150))
    assert (head, small.size, picture.size) == ("data:image/jpeg;base64", (150, 100), (300, 200))
    head, same = opened(embedded(picture, "PNG", side=400))
    assert (head, same.size, same.getpixel((0, 0))) == ("data:image/png;base64", (300, 200), (10, 200, 30))


def test_words_stand_above_a_box_or_in_it_and_inside_the_picture():
    marks = (
        Mark((20, 50, 60, 90), "found", "left"),
        Mark((120, 4, 160, 90), "found", "right"),
        Mark((-40, -9, 60, 90), "missed", "outside"),
        Mark((1, 2, 3, 4), "object"),
    )
    assert Shown("a.png", None, (200, 100), marks, "").chips == [
        Chip("found", "left", "left:10.0%;bottom:50.0%"),
        Chip("found", "right", "right:20.0%;top:4.0%"),
        Chip("missed", "outside", "left:0.0%;top:0.0%"),
    ]
