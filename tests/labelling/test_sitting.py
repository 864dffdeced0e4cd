"""Labels are kept at once, and nobody's work is overwritten unseen."""

import json

import numpy as np
import pytest

import masu
from masu.data.dataset import CROWD
from masu.data.formats.editing import Entry
from masu.data.formats.labelme import LABELME
from masu.drafts.beside import write_beside
from masu.drafts.draft import Draft
from masu.errors import InputError
from masu.labelling.found import Found
from masu.labelling.sitting import ConflictError
from masu.labelling.unfinished import Suggestion

CAT = Entry((1.0, 2.0, 21.5, 30.25), "cat")
DOG = Entry((30.0, 5.0, 50.0, 35.0), "dog")


def found(*rows, model="m-1"):
    """``(box, name, score)`` each."""
    return Found(
        model,
        np.array([box for box, _, _ in rows], np.float64).reshape(-1, 4),
        tuple(name for _, name, _ in rows),
        np.array([score for _, _, score in rows], np.float64),
        np.ones(4, np.float32),
        np.zeros((32, 32), np.uint8),
    )


def test_an_answer_is_a_label_file_that_masu_reads(sit, folder):
    sitting = sit()
    view = sitting.view("a.jpg", None)
    assert (view.state, view.size, view.version, view.entries, view.drafts) == (
        "open",
        (40, 60),
        "",
        (),
        None,
    )
    sitting.answer("a.jpg", view.version, [CAT, Entry(DOG.box, "dog", CROWD)])
    sitting.answer("sub/c.jpg", "", [])
    data = masu.read_dataset(folder)
    assert [path.relative_to(folder).as_posix() for path in data.paths] == ["a.jpg", "sub/c.jpg"]
    assert data[0].target.boxes.tolist() == [list(CAT.box), list(DOG.box)]
    assert data[0].target.ignored.tolist() == [False, True]
    assert len(data[1].target) == 0
    assert sitting.in_state("open") == ("b.png",)


def test_unfinished_work_is_no_label_file_and_outlives_the_server(sit, folder):
    drafts = (Suggestion(DOG.box, "dog", 0.7),)
    sit().work_on("a.jpg", "", [CAT], drafts)
    assert not list(folder.glob("*.json"))
    again = sit()
    view = again.view("a.jpg", None)
    assert (view.state, view.entries, view.drafts) == ("unfinished", (CAT,), drafts)
    again.answer("a.jpg", view.version, view.entries)
    assert sit().view("a.jpg", None).state == "done"


def test_a_second_page_is_refused_what_it_has_not_seen(sit):
    sitting = sit()
    first = sitting.work_on("a.jpg", "", [CAT], None)
    with pytest.raises(ConflictError) as error:
        sitting.work_on("a.jpg", "", [DOG], None)
    theirs = error.value.theirs
    assert (theirs.state, theirs.entries, theirs.version) == ("unfinished", (CAT,), first.version)
    sitting.work_on("a.jpg", theirs.version, [DOG], None)
    assert sitting.view("a.jpg", None).entries == (DOG,)


def test_another_computer_is_not_overwritten(sit, out):
    mine, other = sit(), sit(out.with_name("other"))
    other.answer("a.jpg", "", [DOG])
    with pytest.raises(ConflictError) as error:
        mine.answer("a.jpg", "", [CAT])
    theirs = error.value.theirs
    assert [entry.name for entry in theirs.entries] == ["dog"]
    mine.answer("a.jpg", theirs.version, [CAT])  # keep mine
    other.look_for_changes()
    assert [entry.name for entry in other.view("a.jpg", None).entries] == ["cat"]


def test_unfinished_work_on_a_file_that_another_changed_asks_and_can_be_kept(sit, out):
    mine, other = sit(), sit(out.with_name("other"))
    version = mine.work_on("a.jpg", "", [CAT], None).version
    other.answer("a.jpg", "", [DOG])
    with pytest.raises(ConflictError) as error:
        mine.answer("a.jpg", version, [CAT])
    theirs = error.value.theirs
    assert (theirs.state, [entry.name for entry in theirs.entries]) == ("done", ["dog"])
    assert mine.view("a.jpg", None).entries == (CAT,)  # nothing is lost by asking
    mine.answer("a.jpg", theirs.version, [CAT])
    assert [entry.name for entry in other.view("a.jpg", None).entries] == ["cat"]


def test_going_on_with_unfinished_work_does_not_overwrite_what_another_saved_meanwhile(sit, out):
    mine, other = sit(), sit(out.with_name("other"))
    version = mine.work_on("a.jpg", "", [CAT], None).version
    other.answer("a.jpg", "", [DOG])
    version = mine.work_on("a.jpg", version, [CAT, CAT], None).version
    with pytest.raises(ConflictError):
        mine.answer("a.jpg", version, [CAT, CAT])
    assert [entry.name for entry in other.view("a.jpg", None).entries] == ["dog"]


def test_theirs_may_be_taken(sit, out):
    mine, other = sit(), sit(out.with_name("other"))
    mine.work_on("a.jpg", "", [CAT], None)
    other.answer("a.jpg", "", [DOG])
    mine.drop_work("a.jpg", mine.version_of("a.jpg"))
    view = mine.view("a.jpg", None)
    assert (view.state, [entry.name for entry in view.entries]) == ("done", ["dog"])


def test_an_answer_is_taken_back_into_a_folder(sit, folder, out):
    sitting = sit()
    version = sitting.answer("a.jpg", "", [CAT]).version
    view = sitting.take_back("a.jpg", version)
    assert (view.state, view.version) == ("open", "")
    assert not (folder / "a.json").exists()
    (kept,) = (out / "taken-back").iterdir()
    assert "cat" in kept.read_text()


def test_what_is_no_label_is_refused_and_nothing_is_written(sit, folder):
    sitting = sit()
    for entries in ([Entry(CAT.box, "bird")], [Entry((70.0, 1.0, 80.0, 9.0), "cat")]):
        with pytest.raises(InputError):
            sitting.answer("a.jpg", "", entries)
    with pytest.raises(KeyError):
        sitting.answer("../a.jpg", "", [CAT])
    assert not list(folder.rglob("*.json"))


def test_a_broken_file_is_locked_and_left_alone(sit, folder):
    (folder / "a.json").write_text('{"shapes": [')
    (folder / "b.png").write_bytes(b"no image")
    sitting = sit()
    for name in ("a.jpg", "b.png"):
        view = sitting.view(name, None)
        assert view.state == "locked"
        assert view.why
        with pytest.raises(InputError):
            sitting.answer(name, view.version, [CAT])
    assert (folder / "a.json").read_text() == '{"shapes": ['


def test_corrections_are_counted_against_the_drafts_that_were_shown(sit):
    sitting = sit()
    seen = found((CAT.box, "cat", 0.9), ((2, 2, 9, 9), "dog", 0.6), ((40, 2, 49, 9), "dog", 0.3))
    sitting.view("a.jpg", seen)
    sitting.answer("a.jpg", "", [CAT, DOG], least={"cat": 0.5, "dog": 0.5}, seconds=4)
    sitting.answer("b.png", "", [CAT, DOG])
    first, second = sit().history.answers
    assert (first.boxes, first.drafts, first.edits, first.seconds, first.model) == (2, 2, 2, 4, "m-1")
    assert (second.drafts, second.edits, second.model) == (None, 2, "")
    assert [one.photograph for one in sit().history.drafted(10)] == ["a.jpg"]


def test_half_a_line_of_history_is_passed_over(sit, out):
    sit().answer("a.jpg", "", [CAT])
    with (out / "history.jsonl").open("a") as file:
        file.write('{"photograph": "b.p')
    sit().answer("b.png", "", [CAT])
    assert [one.photograph for one in sit().history.answers] == ["a.jpg", "b.png"]


def test_drafts_of_objects_that_are_drawn_already_are_not_offered(sit):
    sitting = sit()
    sitting.work_on("a.jpg", "", [CAT], None)  # begun before there was a model
    view = sitting.view("a.jpg", found((CAT.box, "cat", 0.9), (DOG.box, "dog", 0.8)))
    assert [draft.name for draft in view.drafts] == ["dog"]


def test_a_doubt_is_settled_by_saying_done_again(sit):
    sitting = sit()
    version = sitting.answer("a.jpg", "", [CAT]).version
    seen = {"a.jpg": found((CAT.box, "cat", 0.9), (DOG.box, "dog", 0.95))}
    ((name, doubt),) = sitting.doubtful(seen)
    assert (name, doubt.kind, doubt.name) == ("a.jpg", "missing", "dog")
    entries = sitting.view("a.jpg", None).entries
    sitting.answer("a.jpg", version, entries)
    assert sit().doubtful(seen) == []


def test_classes_keep_the_order_in_which_they_were_added(sit, folder):
    sitting = sit()
    sitting.add_class(" ant  eater ")
    sitting.answer("a.jpg", "", [DOG])
    assert sit().classes == ("cat", "dog", "ant eater")
    with pytest.raises(InputError):
        sitting.add_class(" \n")


def test_every_change_is_news_once(sit):
    sitting = sit()
    before = sitting.changes
    sitting.work_on("a.jpg", "", [CAT], None)
    sitting.look_for_changes()
    assert [name for name, one in sitting.known.items() if one.changed > before] == ["a.jpg"]
    assert sitting.changes == before + 1


def test_what_is_unknown_of_unfinished_work_is_left_where_it_is(sit, out):
    sit().work_on("a.jpg", "", [CAT], None)
    (file,) = (out / "unfinished").iterdir()
    content = json.loads(file.read_text())
    (out / "unfinished" / "x.json").write_text("{")
    (out / "unfinished" / "y.json").write_text(json.dumps(content | {"photograph": "gone.jpg"}))
    assert sit().in_state("unfinished") == ("a.jpg",)
    assert len(list((out / "unfinished").iterdir())) == 3


def test_unfinished_work_of_another_page_is_not_dropped_unseen(sit):
    sitting = sit()
    sitting.work_on("a.jpg", "", [CAT], None)
    with pytest.raises(ConflictError):
        sitting.drop_work("a.jpg", "")
    assert sitting.view("a.jpg", None).entries == (CAT,)


def test_what_another_has_saved_is_not_taken_back_unseen(sit, out, folder):
    mine, other = sit(), sit(out.with_name("other"))
    version = mine.answer("a.jpg", "", [CAT]).version
    version = mine.work_on("a.jpg", version, [CAT, DOG], None).version
    other.answer("a.jpg", other.view("a.jpg", None).version, [DOG])
    with pytest.raises(ConflictError):
        mine.take_back("a.jpg", version)
    assert mine.view("a.jpg", None).entries == (CAT, DOG)
    assert (folder / "a.json").exists()


def test_a_photograph_that_cannot_be_read_stays_locked_until_it_is_another(sit, folder):
    sitting = sit()
    sitting.unreadable("a.jpg", "damaged")
    assert (sitting.view("a.jpg", None).state, sitting.view("a.jpg", None).why) == ("locked", "damaged")
    (folder / "a.jpg").write_bytes((folder / "sub" / "c.jpg").read_bytes() + b" ")
    assert sitting.view("a.jpg", None).state == "open"


def test_an_answer_counts_where_the_history_cannot_be_written(sit, out):
    sitting = sit()
    (out / "history.jsonl").mkdir()
    assert sitting.answer("a.jpg", "", [CAT]).state == "done"
    assert sit_again_state(sit, out) == "done"


def sit_again_state(sit, out):
    (out / "history.jsonl").rmdir()
    return sit().view("a.jpg", None).state


def test_a_photograph_drawn_before_there_were_drafts_counts_as_drawn(sit):
    sitting = sit()
    sitting.view("a.jpg", None)
    sitting.work_on("a.jpg", "", [CAT], None)
    version = sitting.view("a.jpg", found((CAT.box, "cat", 0.9))).version
    sitting.answer("a.jpg", version, [CAT])
    assert sitting.history.answers[0].drafts is None


def test_names_of_many_scripts_are_classes(sit):
    sitting = sit()
    assert sitting.add_class("\u0645\u06cc\u200c\u0646\u0627") == "\u0645\u06cc\u200c\u0646\u0627"
    assert sitting.add_class("big  cat") == "big cat"
    with pytest.raises(InputError):
        sitting.add_class("a\x07")


@pytest.fixture
def drafted(folder):
    """A model drafted two boxes of the first photograph and none of the second."""
    two = Draft(folder / "a.jpg", (40, 60), (CAT.box, DOG.box), ("cat", "dog"), (0.9, 0.2))
    write_beside(two, LABELME, "cells-1f2e", swept=True)
    write_beside(Draft(folder / "b.png", (40, 60), (), (), ()), LABELME, "cells-1f2e", swept=True)
    return folder


def test_drafts_in_a_file_are_offered_and_count_as_no_answer(sit, drafted):
    sitting = sit()
    assert (sitting.in_state("open"), sitting.drafted) == (("a.jpg", "b.png", "sub/c.jpg"), 2)
    view = sitting.view("a.jpg", found((DOG.box, "cat", 0.99)))
    assert view.drafts == (Suggestion(CAT.box, "cat", 0.9), Suggestion(DOG.box, "dog", 0.2))
    assert (view.state, view.entries, view.drafted) == ("open", (), True)
    assert sitting.view("b.png", None).drafts == ()
    with pytest.raises(InputError, match="nobody confirmed"):
        masu.read_dataset(drafted)


def test_an_answer_makes_labels_of_drafts_and_keeps_what_was_right(sit, drafted):
    sitting = sit()
    shapes = json.loads((drafted / "a.json").read_text())["shapes"]
    for name, entries in (("a.jpg", [CAT, DOG]), ("b.png", [])):
        view = sitting.view(name, None)
        sitting.answer(name, view.version, entries)
    page = json.loads((drafted / "a.json").read_text())
    assert (page["shapes"], page["flags"], "draft" in page) == (shapes, {}, False)
    assert [len(target) for _, target in masu.read_dataset(drafted)] == [2, 0]
    assert [(one.drafts, one.edits, one.model) for one in sitting.history.answers] == [
        (2, 0, "cells-1f2e"),
        (0, 0, "cells-1f2e"),
    ]
    assert (sit().in_state("done"), sit().drafted) == (("a.jpg", "b.png"), 0)


def test_unfinished_work_on_drafts_stays_a_draft(sit, drafted):
    sitting = sit()
    version = sitting.view("a.jpg", None).version
    sitting.work_on("a.jpg", version, [CAT], [Suggestion(DOG.box, "dog", 0.2)])
    again = sit().view("a.jpg", None)
    assert (again.state, again.drafts, again.drafted) == (
        "unfinished",
        (Suggestion(DOG.box, "dog", 0.2),),
        True,
    )
    assert "draft" in json.loads((drafted / "a.json").read_text())


def test_what_another_program_saves_is_an_answer(sit, drafted):
    sitting = sit()
    page = json.loads((drafted / "a.json").read_text())
    (drafted / "a.json").write_text(json.dumps(page | {"version": "6.3.1"}))
    sitting.look_for_changes()
    assert sitting.in_state("done") == ("a.jpg",)
