import shutil
from pathlib import Path

import pytest

import masu
from masu.bulk.alone import ask_elsewhere, predict_alone
from masu.bulk.predictor import Predictor
from masu.errors import InputError
from tests.bulk.conftest import photographs
from tests.bulk.killing import predict


def test_an_image_that_ends_the_process_twice_is_known_and_all_others_have_their_rows(tmp_path):
    (tmp_path / "once.jpg").touch()
    images = ["a.jpg", "crash-1.jpg", "b.jpg", str(tmp_path / "once.jpg"), "exit.jpg"]
    table, killers = predict_alone(predict, images)
    assert killers == ["crash-1.jpg", "exit.jpg"]
    assert table["path"].to_pylist() == images
    assert table["error"].to_pylist() == [
        None,
        "reading it ended the process twice (SIGSEGV)",
        None,
        None,
        "reading it ended the process twice (exit code 3)",
    ]
    assert [len(scores or ()) for scores in table["scores"].to_pylist()] == [1, 0, 1, 1, 0]


def test_the_rows_are_those_of_the_process_itself(tmp_path, model_file):
    paths = [*map(str, photographs(tmp_path, 2)), str(tmp_path / "gone.jpg")]
    predictor = Predictor(model_file, 0.3, threads=1)
    table, killers = predict_alone(predictor, paths)
    assert killers == []
    assert table["scores"].null_count == 1
    for path, row in zip(paths, table.to_pylist(), strict=True):
        assert predictor({"path": [path]}).to_pylist() == [row]


def test_a_model_that_cannot_be_loaded_elsewhere_is_said_here(tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"none")
    for predictor in (one := Predictor(tmp_path / "m.safetensors"), one.own_thresholds):
        with pytest.raises(InputError, match=r"m\.safetensors"):
            ask_elsewhere(predictor)


def test_what_a_model_says_of_itself_elsewhere_is_what_it_says_here(tmp_path, model_file):
    file = Path(shutil.copy(model_file, tmp_path / "m.safetensors"))
    masu.store_thresholds(file, {"cat": 0.3})
    for options, otherwise in (
        ({}, ""),
        ({"image_size": 64}, ""),
        ({"image_size": 96}, "with --image-size 64"),
        ({"image_size": 96, "tta": True}, "with --image-size 64 and without --tta"),
    ):
        predictor = Predictor(file, threads=1, **options)
        assert (
            ask_elsewhere(predictor.own_thresholds) == predictor.own_thresholds() == ({"cat": 0.3}, otherwise)
        )


class Ending:
    def __reduce__(self):
        return exit, (5,)


def test_a_process_that_ends_before_it_has_an_image_is_no_fault_of_images():
    with pytest.raises(InputError) as caught:
        predict_alone(Ending(), ["a.jpg"])
    assert caught.value.code == "lost-process"
    assert str(caught.value) == (
        "job: found a process that ends when it loads the model (exit code 5), wanted one that reads images; "
        "look at the memory"
    )
