"""One round of training on what is labelled."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import masu
from masu.data.dataset import Dataset, Sample
from masu.data.fitting import measured
from masu.errors import InputError
from masu.evaluation.evaluate import Scored, score
from masu.labelling.drafter import answer
from masu.labelling.edits import cheapest_thresholds
from masu.labelling.learning import judged, learn
from masu.records import Detections, Target

SMALL = masu.TrainSettings(image_size=96, precision="auto")


def photographs(folder, count, names=("bright",)):
    """Grey photographs, in each a bright square."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    samples = []
    for number in range(count):
        x, y = draw.integers(0, 60, 2).tolist()
        pixels = np.full((96, 96, 3), 60, np.uint8)
        pixels[y : y + 30, x : x + 30] = 230
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        target = Target(torch.tensor([[x, y, x + 30.0, y + 30]]), torch.tensor([len(names) - 1]))
        samples.append(Sample(path, target))
    return measured(Dataset.of(samples, names, root=folder))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    place = tmp_path_factory.mktemp("learning")
    data = photographs(place / "photos", 16)
    told = []
    learned = learn(
        data.take(range(5)),
        data.take(range(5, 16)),
        place / "run",
        steps=20,
        settings=SMALL,
        report=told.append,
    )
    return learned, told, data


def test_a_round_leaves_a_model_and_what_is_known_of_it(first):
    learned, told, _ = first
    assert (learned.labels, learned.held) == (5, 11)
    assert learned.ap50 is not None
    assert learned.interval is not None
    assert learned.interval[0] <= learned.ap50 <= learned.interval[1]
    assert told == sorted(told)
    assert 0 < told[0] <= 0.1
    assert told[-1] == 1.0
    model = masu.load(learned.model)
    assert model.names == ("bright",)
    assert model.thresholds == learned.thresholds
    assert learned.as_dict()["thresholds"] == dict(learned.thresholds)


def test_a_round_without_held_back_photographs_says_no_figure(first, tmp_path):
    _, _, data = first
    learned = learn(data.take(range(5)), None, tmp_path / "run", steps=1, settings=SMALL)
    assert (learned.held, learned.ap50, learned.interval) == (0, None, None)
    assert learned.thresholds == {"bright": 0.5}


def test_a_round_goes_on_from_the_last_model_also_with_another_class(first, tmp_path):
    learned, _, _ = first
    data = photographs(tmp_path / "photos", 5, names=("dark", "bright"))
    again = learn(data, None, tmp_path / "run", steps=1, settings=SMALL, weights=learned.model)
    before, after = masu.load(learned.model), masu.load(again.model)
    assert after.names == ("dark", "bright")
    a, b = before.predictor.scores.weight[0], after.predictor.scores.weight[1]
    assert torch.linalg.norm(a - b) < 0.1 * torch.linalg.norm(a)


@pytest.mark.parametrize("length", [{}, {"steps": 1, "budget": 1.0}])
def test_a_round_has_one_length(first, tmp_path, length):
    _, _, data = first
    with pytest.raises(InputError) as caught:
        learn(data, None, tmp_path / "run", settings=SMALL, **length)
    assert caught.value.wanted == "one of them"


def test_photographs_without_an_object_teach_nothing(first, tmp_path):
    _, _, data = first
    empty = data.keep(np.zeros(len(data.boxes), bool))
    with pytest.raises(InputError) as caught:
        learn(empty, None, tmp_path / "run", steps=1, settings=SMALL)
    assert caught.value.found == "no labelled object in 16 images"


def test_held_back_photographs_without_an_object_say_no_figure(first, tmp_path):
    _, _, data = first
    held = data.take(range(5, 8))
    empty = held.keep(np.zeros(len(held.boxes), bool))
    learned = learn(data.take(range(5)), empty, tmp_path / "run", steps=1, settings=SMALL)
    assert (learned.held, learned.ap50, learned.interval) == (3, None, None)


def test_one_held_back_photograph_says_a_figure_without_interval(first, tmp_path):
    _, _, data = first
    learned = learn(data.take(range(5)), data.take([5]), tmp_path / "run", steps=1, settings=SMALL)
    assert learned.held == 1
    assert learned.ap50 is not None
    assert learned.interval is None


def test_drafts_and_the_figures_of_a_round_are_of_two_looks(first):
    learned, _, data = first
    detector, held = masu.load(learned.model), data.take(range(5, 16))
    twice = masu.with_tta(detector)
    scored = score(twice, held)
    assert learned.ap50 == scored.metrics.ap50
    assert learned.thresholds == cheapest_thresholds(judged(scored), data.names)
    assert (twice.otherwise, detector.otherwise) == ("", "with --tta")
    said = answer(detector.prediction_network(), "a", str(held.paths[0]))
    found = twice.predict(held.paths[0])
    assert said["scores"] == pytest.approx(found.scores.tolist(), abs=1e-4)
    assert np.array(said["boxes"]) == pytest.approx(found.boxes.numpy(), abs=0.02)
    assert said["scores"] != detector.predict(held.paths[0]).scores.tolist()


def test_drafts_are_of_as_many_looks_as_the_models_thresholds(first, tmp_path):
    learned, _, data = first
    file, photograph = shutil.copy(learned.model, tmp_path / "m.safetensors"), data.paths[5]
    masu.store_thresholds(file, learned.thresholds)
    once = masu.load(file)
    said = answer(once.prediction_network(), "a", str(photograph))
    assert said["scores"] == pytest.approx(once.predict(photograph).scores.tolist(), abs=1e-4)
    assert said["scores"] != pytest.approx(masu.with_tta(once).predict(photograph).scores.tolist(), abs=1e-4)


@pytest.mark.parametrize(("tta", "otherwise"), [(True, "with --tta"), (False, "")])
def test_a_model_without_held_back_photographs_knows_how_it_is_looked_with(first, tmp_path, tta, otherwise):
    _, _, data = first
    learned = learn(data.take(range(5)), None, tmp_path / "run", steps=1, settings=SMALL, tta=tta)
    assert masu.load(learned.model).otherwise == otherwise


def test_crowds_and_difficult_objects_are_nothing_to_draft():
    box = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    target = Target(box, torch.tensor([0, 1]), torch.tensor([False, True]))
    found = Detections(box[:1], torch.tensor([0.75]), torch.tensor([1]), ("b",))
    (one,) = judged(Scored(None, ("a", "b"), (Path("x"),), (target,), (found,)))
    assert one.label_names == ("a",)
    assert one.labels.tolist() == [[0, 0, 10, 10]]
    assert (one.names, one.scores.tolist()) == (("b",), [0.75])
