"""Labels changed in place: what is saved is read back, what was not changed stays, nobody's change is lost."""

import json
import multiprocessing
import re
import threading
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.fitting import as_stored, upright
from masu.data.formats import formats
from masu.data.formats.editing import ChangedError, Entry, Frame, Loaded, held_in_order, planned
from masu.errors import InputError
from tests.data.formats.label_files import (
    SIZE,
    data_set,
    objects_of,
    opened,
    photo_of,
    photograph,
    read_back,
)

FORMS = [name for name, form in formats().items() if form.edit is not None]
NEAR = 0.0151  # pixels: rounded by the file and once more here
FLAGS = {"labelme": (0, CROWD, DIFFICULT, CROWD | DIFFICULT), "voc": (0, DIFFICULT), "coco": (0, CROWD)}


def files_of(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", FORMS)
def test_the_labels_are_those_that_the_reader_reads(tmp_path, form):
    root = data_set(tmp_path, form)
    files = opened(root)
    assert files.names == ("cat", "dog")
    read = read_back(root)
    for name, objects in read.items():
        loaded = files.load(photo_of(root, name))
        assert (objects_of(loaded.entries), loaded.why) == (objects, "")
        assert loaded.version


@pytest.mark.parametrize("form", FORMS)
def test_saving_what_was_loaded_writes_nothing(tmp_path, form):
    root = data_set(tmp_path, form)
    files, before = opened(root), files_of(root)
    for name in ("a.png", "b.png", "c.png"):
        photo = photo_of(root, name)
        loaded = files.load(photo)
        assert files.save(photo, SIZE, loaded.entries, loaded.version) == loaded.version
    assert files_of(root) == before


@pytest.mark.parametrize("form", FORMS)
def test_what_is_saved_is_read_back(tmp_path, form):
    root = data_set(tmp_path, form)
    files, photo = opened(root), photo_of(root, "a.png")
    loaded = files.load(photo)
    cat, dog = loaded.entries
    wanted = [
        replace(cat, box=(11.25, 20.0, 30.0, 41.5)),
        replace(dog, name="cat"),
        Entry((0.0, 0.0, 80.0, 60.0), "a new one"),
    ]
    version = files.save(photo, SIZE, wanted, loaded.version)
    assert version != loaded.version
    assert read_back(root)["a.png"] == objects_of(wanted)
    again = files.load(photo)
    assert (objects_of(again.entries), again.version) == (objects_of(wanted), version)
    assert files.names == ("cat", "dog", "a new one")
    assert opened(root).load(photo) == again
    others = read_back(root)
    assert (others["b.png"], others["c.png"]) == ([([1.0, 2.0, 3.0, 4.0], "dog", 0)], [])


@pytest.mark.parametrize("form", FORMS)
def test_nothing_here_is_an_answer(tmp_path, form):
    root = data_set(tmp_path, form)
    files, photo = opened(root), photo_of(root, "a.png")
    files.save(photo, SIZE, [], files.load(photo).version)
    assert read_back(root)["a.png"] == []
    assert files.load(photo).entries == ()


@pytest.mark.parametrize("form", FORMS)
def test_a_photograph_without_an_answer_gets_one(tmp_path, form):
    root = data_set(tmp_path, form)
    photo = photograph(photo_of(root, "a.png").with_name("new.png"))
    files = opened(root)
    assert files.load(photo) == Loaded(None, "")
    version = files.save(photo, SIZE, [Entry((1.0, 2.0, 9.0, 8.5), "dog")], "")
    assert files.load(photo).version == version
    assert read_back(root)["new.png"] == [([1.0, 2.0, 9.0, 8.5], "dog", 0)]


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_without_objects_for_a_photograph_that_had_none(tmp_path, form):
    root = data_set(tmp_path, form)
    photo = photograph(photo_of(root, "a.png").with_name("new.png"))
    files = opened(root)
    files.save(photo, SIZE, [], "")
    assert read_back(root)["new.png"] == []
    assert files.load(photo).entries == ()
    assert opened(root).load(photo).entries == ()


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("form", FORMS)
def test_boxes_are_those_of_the_upright_photograph(tmp_path, form, orientation):
    root = data_set(tmp_path, form)
    photo = photograph(photo_of(root, "a.png").with_name("new.jpg"), (80, 50), orientation)
    files = opened(root)
    version = files.save(photo, (80, 50), [Entry((1.0, 60.0, 9.0, 79.5), "dog")], "")
    assert read_back(root)["new.jpg"] == [([1.0, 60.0, 9.0, 79.5], "dog", 0)]
    assert objects_of(files.load(photo).entries) == [([1.0, 60.0, 9.0, 79.5], "dog", 0)]
    assert files.load(photo).version == version


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_is_taken_back_and_kept(tmp_path, form):
    root, kept = data_set(tmp_path, form), tmp_path / "kept"
    files, photo = opened(root), photo_of(root, "a.png")
    for number in (1, 2):
        loaded = files.load(photo)
        files.take_back(photo, loaded.version, kept)
        assert files.load(photo) == Loaded(None, "")
        assert len([path for path in kept.rglob("*") if path.is_file()]) == number
        files.save(photo, SIZE, loaded.entries, "")
        assert objects_of(files.load(photo).entries) == objects_of(loaded.entries)
    assert files.changed() == ()


@pytest.mark.parametrize("form", FORMS)
def test_what_is_kept_of_an_answer_is_not_read_as_labels(tmp_path, form):
    root = data_set(tmp_path, form)
    files, photo = opened(root), photo_of(root, "a.png")
    files.take_back(photo, files.load(photo).version, root / "taken-back")
    assert read_back(root).get("a.png", []) == []


@pytest.mark.parametrize("form", FORMS)
def test_the_change_of_somebody_else_is_told_and_not_overwritten(tmp_path, form):
    root = data_set(tmp_path, form)
    mine, theirs, photo = opened(root), opened(root), photo_of(root, "a.png")
    loaded = mine.load(photo)
    theirs.save(photo, SIZE, loaded.entries[:1], loaded.version)
    before = files_of(root)
    with pytest.raises(ChangedError) as caught:
        mine.save(photo, SIZE, loaded.entries[1:], loaded.version)
    assert caught.value.current == theirs.load(photo)
    assert objects_of(caught.value.current.entries) == objects_of(loaded.entries[:1])
    with pytest.raises(ChangedError):
        mine.take_back(photo, loaded.version, tmp_path / "kept")
    with pytest.raises(ChangedError):
        mine.save(photo, SIZE, [], "")
    assert files_of(root) == before
    assert not (tmp_path / "kept").exists()
    mine.save(photo, SIZE, loaded.entries[1:], caught.value.current.version)  # "keep mine"
    assert objects_of(theirs.load(photo).entries) == objects_of(loaded.entries[1:])


@pytest.mark.parametrize("form", FORMS)
def test_a_change_elsewhere_does_not_change_the_version(tmp_path, form):
    root = data_set(tmp_path, form)
    files = opened(root)
    a, b = photo_of(root, "a.png"), photo_of(root, "b.png")
    loaded, other = files.load(a), files.load(b)
    files.save(b, SIZE, [*other.entries, Entry((5.0, 5.0, 9.0, 9.0), "cow")], other.version)
    assert files.load(a) == loaded


@pytest.mark.parametrize("form", FORMS)
def test_a_class_that_somebody_else_adds_is_met_on_loading(tmp_path, form):
    root = data_set(tmp_path, form)
    mine, theirs, photo = opened(root), opened(root), photo_of(root, "c.png")
    theirs.save(photo, SIZE, [Entry((1.0, 2.0, 3.0, 4.0), "cow")], theirs.load(photo).version)
    assert [one.name for one in mine.load(photo).entries] == ["cow"]
    assert mine.names == ("cat", "dog", "cow")


@pytest.mark.parametrize("form", FORMS)
def test_others_changes_are_seen_and_own_ones_are_not(tmp_path, form):
    root = data_set(tmp_path, form)
    mine, theirs = opened(root), opened(root)
    a, b = photo_of(root, "a.png"), photo_of(root, "b.png")
    mine.save(b, SIZE, [], mine.load(b).version)
    assert mine.changed() == ()
    theirs.save(a, SIZE, [], theirs.load(a).version)
    assert mine.changed() == (a,)
    assert mine.changed() == ()
    theirs.take_back(a, theirs.load(a).version, tmp_path / "kept")
    assert mine.changed() == (a,)
    theirs.save(a, SIZE, [], "")
    assert mine.changed() == (a,)
    assert theirs.changed() == (b,)


@pytest.mark.parametrize("form", FORMS)
def test_a_place_goes_on_meaning_its_object(tmp_path, form):
    """A page that goes on with what it loaded first, while objects before it go, move and come back."""
    root = data_set(tmp_path, form)
    files, photo = opened(root), photo_of(root, "a.png")
    loaded = files.load(photo)
    cat, dog = loaded.entries
    version = files.save(photo, SIZE, [dog], loaded.version)
    assert objects_of(files.load(photo).entries) == objects_of((dog,))
    moved = replace(dog, box=(51.0, 5.0, 70.0, 25.0))
    version = files.save(photo, SIZE, [moved], version)
    assert files.save(photo, SIZE, [moved], version) == version
    version = files.save(photo, SIZE, [cat, replace(moved, name="cat")], version)
    assert sorted(objects_of(files.load(photo).entries)) == sorted(
        objects_of((cat, replace(moved, name="cat")))
    )
    version = files.save(photo, SIZE, [cat, dog], version)
    assert sorted(objects_of(files.load(photo).entries)) == sorted(objects_of((cat, dog)))


@pytest.mark.parametrize("form", FORMS)
def test_a_faulty_entry_of_the_page_is_refused(tmp_path, form):
    root = data_set(tmp_path, form)
    files, photo = opened(root), photo_of(root, "a.png")
    loaded, before = files.load(photo), files_of(root)
    for box in [
        (5.0, 5.0, 5.0, 9.0),
        (9.0, 5.0, 5.0, 9.0),
        (90.0, 5.0, 99.0, 9.0),
        (0.0, 0.0, float("nan"), 9.0),
    ]:
        with pytest.raises(InputError) as caught:
            files.save(photo, SIZE, [*loaded.entries, Entry(box, "cat")], loaded.version)
        assert caught.value.thing == f"{photo}, label 3"
        assert caught.value.wanted == "one with an area inside the photograph"
    with pytest.raises(InputError) as caught:
        files.save(photo, SIZE, [Entry((1.0, 1.0, 5.0, 5.0), " ")], loaded.version)
    assert (caught.value.thing, caught.value.found) == (f"{photo}, label 1", "no name")
    assert files_of(root) == before


@pytest.mark.parametrize("form", FORMS)
def test_a_box_that_reaches_outside_is_cut(tmp_path, form):
    root = data_set(tmp_path, form)
    files, photo = opened(root), photo_of(root, "b.png")
    files.save(photo, SIZE, [Entry((-5.0, 50.0, 20.0, 66.0), "cat")], files.load(photo).version)
    assert read_back(root)["b.png"] == [([0.0, 50.0, 20.0, 60.0], "cat", 0)]


@pytest.mark.parametrize("form", FORMS)
def test_flags_are_kept_and_those_that_the_format_lacks_are_refused(tmp_path, form):
    root = data_set(tmp_path, form)
    files, photo = opened(root), photo_of(root, "a.png")
    loaded = files.load(photo)
    version = loaded.version
    for flag in (CROWD, DIFFICULT, CROWD | DIFFICULT, 0):
        entries = [replace(loaded.entries[0], flag=flag), Entry((1.0, 2.0, 3.0, 4.0), "dog", flag)]
        if flag in FLAGS.get(form, (0,)):
            version = files.save(photo, SIZE, entries, version)
            assert sorted(read_back(root)["a.png"]) == sorted(objects_of(entries))
        else:
            before = files_of(root)
            with pytest.raises(InputError):
                files.save(photo, SIZE, entries, version)
            assert files_of(root) == before


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, form):
    resource = pytest.importorskip("resource")
    root = data_set(tmp_path, form)
    files, photo = opened(root), photo_of(root, "a.png")
    loaded, before = files.load(photo), files_of(root)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
    try:
        with pytest.raises(InputError) as caught:
            files.save(photo, SIZE, [*loaded.entries, Entry((1.0, 2.0, 3.0, 4.0), "cat")], loaded.version)
        assert caught.value.code == "not-written"
        with pytest.raises(InputError) as caught:
            files.take_back(photo, loaded.version, tmp_path / "kept")
        assert caught.value.code == "not-written"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files_of(root) == before
    assert files.load(photo) == loaded
    assert not [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]


@pytest.mark.parametrize("form", FORMS)
def test_the_rights_of_a_file_and_a_link_to_it_stay(tmp_path, form):
    root = data_set(tmp_path, form)
    files, photo = opened(root), photo_of(root, "a.png")
    file = files.file_of(photo)
    real = tmp_path / "elsewhere" / file.name
    real.parent.mkdir()
    file.rename(real)
    file.symlink_to(real)
    real.chmod(0o660)
    files.changed()
    files.save(photo, SIZE, [], files.load(photo).version)
    assert file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o660
    assert files.load(photo).entries == ()
    assert files.changed() == ()


def rounds(root, photo, name, count):
    """Add boxes one by one, each time to what is there, as two people at once would."""
    files = opened(root)
    for number in range(count):
        while True:
            loaded = files.load(photo)
            new = Entry((float(number), 1.0, number + 2.0, 5.0), name)
            try:
                files.save(photo, SIZE, [*loaded.entries, new], loaded.version)
                break
            except ChangedError:
                continue


@pytest.mark.parametrize("form", FORMS)
def test_of_two_processes_that_write_at_once_none_loses_a_box(tmp_path, form):
    root = data_set(tmp_path, form)
    photo = photo_of(root, "c.png")
    context = multiprocessing.get_context("fork")
    other = context.Process(target=rounds, args=(root, photo, "dog", 15))
    other.start()
    rounds(root, photo, "cat", 15)
    other.join(60)
    assert other.exitcode == 0
    found = read_back(root)["c.png"]
    assert sorted(found) == sorted(
        ([float(n), 1.0, n + 2.0, 5.0], name, 0) for n in range(15) for name in ("cat", "dog")
    )
    assert not list(root.rglob(".*"))


@pytest.mark.parametrize("form", FORMS)
def test_threads_of_one_server_lose_nothing_either(tmp_path, form):
    root = data_set(tmp_path, form)
    photo = photo_of(root, "c.png")
    threads = [threading.Thread(target=rounds, args=(root, photo, name, 8)) for name in ("cat", "dog")]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert len(read_back(root)["c.png"]) == 16


sides = st.tuples(st.floats(0, 60), st.floats(0, 40), st.floats(1, 19), st.floats(1, 19))


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.lists(st.tuples(sides, st.sampled_from(["cat", "dog", "Äö <&> 语"])), max_size=4), max_size=4
    )
)
def test_any_objects_are_read_back(tmp_path_factory, form, steps):
    root = data_set(tmp_path_factory.mktemp(form), form)
    files, photo = opened(root), photo_of(root, "a.png")
    for objects in steps:
        loaded = files.load(photo)
        known = list(loaded.entries)
        wanted = []
        for number, ((x, y, w, h), name) in enumerate(objects):
            place = known[number].place if number < len(known) else ()
            wanted.append(Entry((x, y, x + w, y + h), name, 0, place))
        files.save(photo, SIZE, wanted, loaded.version)
        for found in (read_back(root)["a.png"], objects_of(files.load(photo).entries)):
            expected = in_order(objects_of(tuple(wanted)))
            assert [one[1:] for one in in_order(found)] == [one[1:] for one in expected]
            for one, other in zip(in_order(found), expected, strict=True):
                assert one[0] == pytest.approx(other[0], abs=NEAR)


def in_order(objects):
    return sorted(objects, key=lambda one: (one[1], one[0]))


@pytest.mark.parametrize("orientation", range(1, 9))
@given(x=st.floats(0, 50), y=st.floats(0, 50), w=st.floats(0, 30), h=st.floats(0, 10))
def test_turning_and_turning_back_is_nothing(orientation, x, y, w, h):
    boxes = [[x, y, x + w, y + h]]
    stored = (60, 80)
    size = stored[::-1] if orientation >= 5 else stored
    turned = upright(pytest.importorskip("numpy").array(boxes), orientation, stored)
    assert as_stored(turned, orientation, size).tolist()[0] == pytest.approx(boxes[0], abs=1e-9)


def test_boxes_are_turned_where_the_annotation_says_the_stored_size():
    assert Frame.of((80, 60), 6, (60, 80)).orientation == 6
    assert Frame.of((80, 60), 6, (80, 60)).orientation == 1
    assert Frame.of((80, 60), 6, None).orientation == 1
    assert Frame.of((80, 60), 1, (60, 80)).orientation == 1
    frame = Frame((80, 60), 6)  # stored 60 high and 80 wide, turned clockwise
    assert frame.shown((10.0, 20.0, 30.0, 25.0)) == (35.0, 10.0, 40.0, 30.0)
    assert frame.written((35.0, 10.0, 40.0, 30.0)) == (10.0, 20.0, 30.0, 25.0)


def held(*texts):
    return held_in_order(
        [((float(n), 0.0, n + 1.0, 1.0), text[0], 0, (n,), (text,)) for n, text in enumerate(texts)]
    )


def change(one, entry):
    return (f"{one.texts[0]}→{entry.name}",)


def back(one, entry):
    return (f"{one.texts[0]} back as {entry.name}",)


def new(entry):
    return f"new {entry.name}"


def plan_of(objects, entries, gone=()):
    plan = planned(objects, entries, {one.entry.place: one for one in gone}, change, back, new)
    return dict(plan.replaced), plan.added


def test_the_plan_of_changes():
    objects = held("a1", "b1", "a1")
    one, two, three = (one.entry for one in objects)
    assert one.place != three.place
    assert plan_of(objects, [one, two, three]) == ({}, ())
    assert plan_of(objects, [three, one, two]) == ({}, ())
    assert plan_of(objects, [one, three]) == ({1: None}, ())
    assert plan_of(objects, [one, replace(two, name="c"), three]) == ({1: "b1→c"}, ())
    assert plan_of(objects, [one, two, three, one]) == ({}, ("new a",))
    assert plan_of(objects, [replace(one, place=()), two, three]) == ({}, ())
    assert plan_of(objects, [two, replace(two, place=(5, 0))], held("z9")) == ({0: None, 2: None}, ("new b",))


def test_what_comes_back_comes_with_all_that_was_said_of_it():
    objects = held("a1", "b1")
    entries = [one.entry for one in objects]
    assert plan_of(objects[:1], entries, gone=objects) == ({}, ("b1 back as b",))
    assert plan_of(objects[:1], [entries[0], replace(entries[1], name="c")], gone=objects) == (
        {},
        ("b1 back as c",),
    )


def test_a_move_below_what_files_hold_is_none():
    objects = held("a1")
    entry = objects[0].entry
    assert plan_of(objects, [replace(entry, box=(0.009, 0.0, 1.0, 1.0))]) == ({}, ())
    assert plan_of(objects, [replace(entry, box=(0.011, 0.0, 1.0, 1.0))]) == ({0: "a1→a"}, ())


def test_places_are_numbers_that_a_browser_holds():
    assert all(0 <= number < 2**53 for one in held("a1", "ü語") for number in one.entry.place)


@pytest.mark.parametrize("name", [name for name, one in formats().items() if one.edit is not None])
def test_a_format_says_whether_it_has_crowd_regions(name, tmp_path):
    """``crowds`` is what saving does: taken where it is true, refused where it is not."""
    root = data_set(tmp_path, name)
    files, photo = opened(root), photo_of(root, "b.png")
    loaded = files.load(photo)
    region = replace(loaded.entries[0], flag=CROWD)
    try:
        files.save(photo, SIZE, [region], loaded.version)
    except InputError:
        taken = False
    else:
        taken = True
    assert formats()[name].crowds == taken


@pytest.mark.parametrize("form", ["labelme", "coco"])
def test_texts_of_labels_that_were_only_looked_at_are_not_kept(tmp_path, form):
    """A data set of polygons, looked through from its first photograph to the last."""
    photo = photograph(tmp_path / "0.png")
    ring = [[float(x), float(x * x % 60)] for x in range(40)]
    if form == "labelme":
        shape = {"label": "cat", "points": ring, "shape_type": "polygon"}
        page = {"shapes": [shape] * 10, "imagePath": "", "imageHeight": 60, "imageWidth": 80}
        for number in range(400):
            (tmp_path / f"{number}.json").write_text(json.dumps(page | {"imagePath": f"{number}.png"}))
    else:
        images = [{"id": n, "file_name": f"{n}.png", "height": 60, "width": 80} for n in range(400)]
        one = {
            "category_id": 1,
            "bbox": [1, 2, 30, 40],
            "segmentation": [[value for point in ring for value in point]],
        }
        own = [one | {"id": 10 * n + at + 1, "image_id": n} for n in range(400) for at in range(10)]
        page = {"images": images, "annotations": own, "categories": [{"id": 1, "name": "cat"}]}
        (tmp_path / "instances.json").write_text(json.dumps(page))
    for number in range(1, 400):
        (tmp_path / f"{number}.png").hardlink_to(photo)
    files = opened(tmp_path)
    files.load(photo)
    tracemalloc.start()
    try:
        for number in range(400):
            assert len(files.load(tmp_path / f"{number}.png").entries) == 10
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 800_000  # all are 2 MB


@pytest.mark.parametrize("form", ["labelme", "coco"])
def test_what_somebody_else_deleted_comes_back_with_all_that_was_said_of_it(tmp_path, form):
    root = data_set(tmp_path, form)
    photo = photo_of(root, "a.png")
    mine, theirs = opened(root), opened(root)
    file = mine.file_of(photo)
    text = file.read_text()
    file.write_text(re.sub(r'("group_id"|"area")', r'"note": 7, \1', text, count=1))
    loaded = mine.load(photo)
    theirs.save(photo, SIZE, [], theirs.load(photo).version)
    with pytest.raises(ChangedError) as caught:
        mine.save(photo, SIZE, loaded.entries, loaded.version)
    assert caught.value.current.entries == ()
    mine.save(photo, SIZE, loaded.entries, caught.value.current.version)
    assert file.read_text().count('"note": 7') == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_photograph_that_its_labels_were_waiting_for(tmp_path, form):
    """The labels are there first, as after a copy of the small files before the large ones."""
    root = data_set(tmp_path, form)
    photo = photo_of(root, "a.png")
    content = photo.read_bytes()
    photo.unlink()
    files = opened(root)
    photo.write_bytes(content)
    files.meet([photo])
    assert len(files.load(photo).entries) == 2
    files.save(photo, SIZE, [], files.load(photo).version)
    assert read_back(root)["a.png"] == []


@pytest.mark.parametrize("form", ["labelme", "voc", "yolo"])
def test_labels_that_come_after_their_photograph_are_seen(tmp_path, form):
    root = data_set(tmp_path, form)
    other = photo_of(root, "b.png")
    photo = photograph(other.with_name("new.png"))
    files = opened(root)
    came = photograph(other.with_name("came.png"))
    files.meet([came])
    for one in (photo, came):
        text = files.file_of(other).read_text().replace("b.png", one.name)
        file = files.file_of(other).with_stem(one.stem)
        file.write_text(text)
        assert files.changed() == (one,)
        assert len(files.load(one).entries) == 1


def test_a_photograph_that_comes_for_another_split_is_not_listed_for_training(tmp_path):
    root = data_set(tmp_path, "yolo")
    photo = photo_of(root, "c.png")
    (root / "train.txt").write_text("./images/a.png\n./images/b.png\n")
    (root / "val.txt").write_text("./images/c.png\n")
    (root / "data.yaml").write_text("train: train.txt\nval: val.txt\nnames: [cat, dog]\n")
    content = photo.read_bytes()
    photo.unlink()
    (root / "labels" / "c.txt").unlink()
    photograph(root / "images" / "d.png")
    (root / "val.txt").write_text("./images/c.png\n./images/d.png\n")
    files = opened(root)
    photo.write_bytes(content)
    files.meet([photo])
    files.save(photo, SIZE, [], "")
    assert "c.png" not in (root / "train.txt").read_text()
