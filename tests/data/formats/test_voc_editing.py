"""Pascal VOC's files changed in place."""

from dataclasses import replace

import pytest

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats import read_dataset
from masu.data.formats.editing import Entry, Loaded
from masu.data.formats.xml_places import parts_of
from masu.errors import InputError
from tests.data.formats.label_files import opened, photograph, read_back

TEXT = """<?xml version="1.0" encoding="utf-8"?>
<!-- drawn by Äda -->
<annotation verified="yes">
\t<folder>JPEGImages</folder>
\t<filename>a.png</filename>
\t<size><width>80</width><height>60</height><depth>3</depth></size>
\t<object id='a>b'>
\t\t<name>cat</name> <!-- sleeps -->
\t\t<pose>Left</pose>
\t\t<difficult>0</difficult>
\t\t<bndbox><xmin>10</xmin><ymin> 20.50 </ymin><xmax>30</xmax><ymax>40</ymax></bndbox>
\t\t<part><name>head</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>15</xmax><ymax>25</ymax></bndbox></part>
\t</object>
\t<object><name>flat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>1</xmax><ymax>9</ymax></bndbox></object>
\t<object>
\t\t<bndbox><ymax>9</ymax><ymin>2</ymin><xmin>1</xmin><xmax>8</xmax></bndbox>
\t\t<polygon><x1>1</x1><y1>2</y1><x2>8</x2><y2>2</y2><x3>4</x3><y3>9</y3></polygon>
\t\t<name>dog</name>
\t\t<difficult/>
\t</object>
\t<source>&amp;c</source>
</annotation>
"""
CAT = TEXT[TEXT.index("\t<object id") : TEXT.index("\t<object><name>flat")]
DOG = TEXT[TEXT.index("\t<object>\n") : TEXT.index("\t<source>")]
SIZE = (60, 80)


def laid(root, content=TEXT, name="a.png", stem="a"):
    photo = photograph(root / "JPEGImages" / name)
    (root / "Annotations").mkdir(exist_ok=True)
    file = root / "Annotations" / f"{stem}.xml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return photo


def saved(root, photo, change):
    """The file after the entries that it says were changed."""
    files = opened(root)
    loaded = files.load(photo)
    files.save(photo, SIZE, change(*loaded.entries), loaded.version)
    return files.file_of(photo).read_bytes().decode()


def test_objects_are_read_and_those_of_no_use_are_not(tmp_path):
    photo = laid(tmp_path)
    loaded = opened(tmp_path).load(photo)
    assert [(one.box, one.name, one.flag) for one in loaded.entries] == [
        ((10.0, 20.5, 30.0, 40.0), "cat", 0),
        ((1.0, 2.0, 8.0, 9.0), "dog", 0),
    ]


def test_a_moved_box_changes_its_four_numbers_and_nothing_else(tmp_path):
    made = saved(
        tmp_path, laid(tmp_path), lambda cat, dog: [replace(cat, box=(10.0, 21.127, 31.0, 40.0)), dog]
    )
    assert made == TEXT.replace("> 20.50 <", ">21.13<").replace("<xmax>30<", "<xmax>31<")


def test_a_moved_polygon_is_one_no_longer(tmp_path):
    made = saved(tmp_path, laid(tmp_path), lambda cat, dog: [cat, replace(dog, box=(1.0, 2.0, 8.0, 10.0))])
    start, end = TEXT.index("\n\t\t<polygon>"), TEXT.index("\n\t\t<name>dog")
    assert made == (TEXT[:start] + TEXT[end:]).replace("<ymax>9</ymax><ymin>", "<ymax>10</ymax><ymin>")


def test_another_class_keeps_the_polygon_and_is_escaped(tmp_path):
    made = saved(tmp_path, laid(tmp_path), lambda cat, dog: [cat, replace(dog, name="<Wölf> & Co")])
    assert made == TEXT.replace(">dog<", ">&lt;Wölf&gt; &amp; Co<")
    assert opened(tmp_path).names == ("<Wölf> & Co", "cat", "flat")


def test_another_flag(tmp_path):
    photo = laid(tmp_path)
    made = saved(tmp_path, photo, lambda *both: [replace(one, flag=DIFFICULT) for one in both])
    assert made == TEXT.replace("<difficult>0<", "<difficult>1<").replace(
        "<difficult/>", "<difficult>1</difficult>"
    )


def test_a_flag_that_was_not_said_stands_after_the_name(tmp_path):
    text = TEXT.replace("\t\t<difficult>0</difficult>\n", "")
    made = saved(tmp_path, laid(tmp_path, text), lambda cat, dog: [replace(cat, flag=DIFFICULT), dog])
    assert made == text.replace("<name>cat</name>", "<name>cat</name>\n\t\t<difficult>1</difficult>")


def test_what_is_deleted_goes_with_its_line_and_what_is_faulty_stays(tmp_path):
    assert saved(tmp_path, laid(tmp_path), lambda *_: []) == TEXT.replace(CAT, "").replace(DOG, "")


def test_a_new_object_comes_after_the_others(tmp_path):
    made = saved(
        tmp_path, laid(tmp_path), lambda *both: [*both, Entry((1.0, 2.5, 3.0, 4.0), "new", DIFFICULT)]
    )
    new = (
        "\t<object>\n\t\t<name>new</name>\n\t\t<difficult>1</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>1</xmin>\n"
        "\t\t\t<ymin>2.5</ymin>\n\t\t\t<xmax>3</xmax>\n\t\t\t<ymax>4</ymax>\n\t\t</bndbox>\n\t</object>\n"
    )
    assert made == TEXT.replace("\t<source>", new + "\t<source>")


def test_one_goes_and_one_comes(tmp_path):
    made = saved(tmp_path, laid(tmp_path), lambda cat, dog: [cat, Entry((1.0, 2.0, 3.0, 4.0), "new")])
    assert [part.path for part in parts_of(made.encode()) if len(part.path) == 2].count(
        ("annotation", "object")
    ) == 3
    assert made.startswith(TEXT[: TEXT.index(DOG)])
    assert "dog" not in made


@pytest.mark.parametrize(
    "content",
    [
        "<annotation></annotation>",
        "<annotation a='/>' />",
        "<annotation>\n</annotation>\n",
        "<annotation>\n  <filename>a.png</filename>\n</annotation>",
    ],
)
def test_the_first_object_of_an_annotation(tmp_path, content):
    photo = laid(tmp_path, content)
    saved(tmp_path, photo, lambda: [Entry((1.0, 2.0, 3.0, 4.0), "new"), Entry((5.0, 2.0, 9.0, 4.0), "two")])
    assert read_back(tmp_path) == {
        "a.png": [([1.0, 2.0, 3.0, 4.0], "new", 0), ([5.0, 2.0, 9.0, 4.0], "two", 0)]
    }


@pytest.mark.parametrize(
    ("encode", "wolf"),
    [
        (lambda text: text.replace("utf-8", "ISO-8859-1").encode("latin-1"), "W&#246;lf"),
        (lambda text: b"\xef\xbb\xbf" + text.encode(), "Wölf"),
        (lambda text: text.replace("\n", "\r\n").encode(), "Wölf"),
        (lambda text: text.partition("\n")[2].encode(), "Wölf"),
    ],
    ids=["latin", "mark", "windows", "bare"],
)
def test_encodings_and_line_ends_stay(tmp_path, encode, wolf):
    content = encode(TEXT)
    photo = laid(tmp_path, content)
    files = opened(tmp_path)
    loaded = files.load(photo)
    cat, dog = loaded.entries
    version = files.save(photo, SIZE, [replace(cat, name="Wölf"), dog], loaded.version)
    made = files.file_of(photo).read_bytes()
    code = "latin-1" if b"ISO" in content else "utf-8"
    assert made == content.replace(b">cat<", f">{wolf}<".encode(code))
    assert files.load(photo).entries[0].name == "Wölf"
    files.save(photo, SIZE, [*files.load(photo).entries, Entry((1.0, 2.0, 3.0, 4.0), "n")], version)
    made = files.file_of(photo).read_bytes()
    assert (b"\r\n" in content) == (made.count(b"\r\n") == made.count(b"\n"))
    assert files.load(photo).entries[-1].name == "n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<annotation><object>", "broken XML"),
        (b"<note>a</note>", "the root element <note>"),
        (TEXT.replace("utf-8", "utf-16").encode("utf-16"), "XML that cannot be changed in place"),
        (b'<!DOCTYPE a [<!ENTITY e "x">]><annotation>&e;</annotation>', "unusable XML"),
    ],
)
def test_a_broken_or_foreign_file_is_never_overwritten(tmp_path, content, why):
    laid(tmp_path, TEXT.replace("a.png", "b.png"), "b.png", "b")
    photo = laid(tmp_path, content)
    files = opened(tmp_path)
    loaded = files.load(photo)
    assert loaded.entries is None
    assert loaded.why.startswith(f"{files.file_of(photo)}: found {why}")
    with pytest.raises(InputError):
        files.save(photo, SIZE, [], loaded.version)
    assert files.file_of(photo).read_bytes() == content


def test_elements_of_another_namespace_are_no_objects(tmp_path):
    content = '<annotation><object xmlns="urn:x"><name>a</name></object></annotation>'
    photo = laid(tmp_path, content)
    made = saved(tmp_path, photo, lambda: [Entry((1.0, 2.0, 3.0, 4.0), "new")])
    assert made.startswith(content[: content.index("</annotation>")])
    assert read_back(tmp_path)["a.png"] == [([1.0, 2.0, 3.0, 4.0], "new", 0)]


def test_a_crowd_region_is_refused(tmp_path):
    photo = laid(tmp_path)
    with pytest.raises(InputError) as caught:
        saved(tmp_path, photo, lambda *_: [Entry((1.0, 2.0, 3.0, 4.0), "cat", CROWD)])
    assert (caught.value.thing, caught.value.found) == (str(photo), "a crowd region (cat)")


def test_a_name_that_xml_cannot_hold_is_refused(tmp_path):
    photo = laid(tmp_path)
    with pytest.raises(InputError) as caught:
        saved(tmp_path, photo, lambda *_: [Entry((1.0, 2.0, 3.0, 4.0), "a\x01b")])
    assert caught.value.found == "a control character"


@pytest.mark.parametrize(
    ("image", "annotation"),
    [
        ("JPEGImages/new.png", "Annotations/new.xml"),
        ("train/new.png", "train/new.xml"),
        ("more/images/new.png", "more/Annotations/new.xml"),
        ("bare/images/new.png", "bare/images/new.xml"),
    ],
)
def test_a_new_annotation_is_where_its_reader_looks(tmp_path, image, annotation):
    laid(tmp_path)
    other = photograph(tmp_path / "train" / "b.png")
    other.with_suffix(".xml").write_text("<annotation><filename>b.png</filename></annotation>")
    (tmp_path / "more" / "Annotations").mkdir(parents=True)
    photo = photograph(tmp_path / image)
    files = opened(tmp_path)
    assert files.file_of(photo) == tmp_path / annotation
    assert files.load(photo) == Loaded(None, "")
    files.save(photo, SIZE, [Entry((1.0, 2.0, 3.0, 4.0), "cat")], "")
    assert opened(tmp_path).file_of(photo) == tmp_path / annotation
    assert objects(tmp_path, "new.png") == [((1.0, 2.0, 3.0, 4.0), "cat")]


def objects(root, name):
    files = opened(root)
    return [(one.box, one.name) for one in files.load(next(root.rglob(name))).entries]


def test_photographs_of_one_stem_do_not_share_an_annotation(tmp_path):
    laid(tmp_path)
    twin = photograph(tmp_path / "JPEGImages" / "a.jpg")
    files = opened(tmp_path)
    assert "those of a.jpg" in files.load(twin).why
    with pytest.raises(InputError):
        files.save(twin, SIZE, [], files.load(twin).version)


def test_lists_of_splits_and_boxes_of_the_stored_picture(tmp_path):
    photo = photograph(tmp_path / "JPEGImages" / "a.jpg", (80, 60), orientation=6)
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(TEXT.replace("a.png", "a.jpg"))
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    files = opened(tmp_path)
    loaded = files.load(photo)
    assert loaded.entries[0].box == (20.0, 10.0, 39.5, 30.0)
    moved = replace(loaded.entries[0], box=(20.0, 10.0, 39.5, 31.0))
    files.save(photo, (80, 60), [moved, loaded.entries[1]], loaded.version)
    assert files.file_of(photo).read_text() == TEXT.replace("a.png", "a.jpg").replace(
        "> 20.50 <", ">20.5<"
    ).replace("<xmax>30<", "<xmax>31<")


@pytest.mark.parametrize(
    ("lists", "listed"),
    [
        ({"train": "a\r\nb", "val": "c\r\n", "trainval": "a\nb\nc\n"}, {"train": "a\r\nb\r\nnew\r\n"}),
        ({"trainval": "a\n"}, {"trainval": "a\nnew\n"}),
        ({"train": "a\n", "val": "new\n"}, {}),
        ({"train": "a\nnew 1\n"}, {}),
        ({"test": "a\n"}, {}),
    ],
)
def test_a_photograph_that_gets_labels_is_listed_for_training_until_they_are_taken_back(
    tmp_path, lists, listed
):
    laid(tmp_path / "set")
    main = tmp_path / "set" / "ImageSets" / "Main"
    main.mkdir(parents=True)
    for word, text in lists.items():
        (main / f"{word}.txt").write_bytes(text.encode())
    photo = photograph(tmp_path / "set" / "JPEGImages" / "new.png")
    files = opened(tmp_path / "set")
    version = files.save(photo, SIZE, [], "")
    made = {file.stem: file.read_bytes().decode() for file in main.glob("*.txt")}
    assert made == lists | listed
    files.save(photo, SIZE, [Entry((1.0, 2.0, 3.0, 4.0), "cat")], version)
    assert {file.stem: file.read_bytes().decode() for file in main.glob("*.txt")} == made
    if listed:
        word = next(iter(listed))
        data = read_dataset(tmp_path / "set")
        names = [path.rpartition("/")[2] for path in data.paths.texts()]
        assert word in data.splits_of(names.index("new.png"))
        files.take_back(photo, files.load(photo).version, tmp_path / "kept")
        left = (main / f"{word}.txt").read_bytes().decode()
        assert left.split() == lists[word].split()
