"""Cross-fitting: no detector judges an image that it has learnt."""

from pathlib import Path

import numpy as np
import pytest

import masu
from masu.data.dataset import Dataset, Sample
from masu.errors import InputError
from masu.records import Target
from masu.training import cross_fitting
from masu.training.cross_fitting import cross_fitted, folds_of
from masu.training.recipe import TrainSettings


def data_of(count):
    samples = [Sample(Path(f"{number}.png"), Target([[0, 0, 9, 9]], [number % 2])) for number in range(count)]
    return Dataset.of(samples, ("cat", "dog"))


@pytest.mark.parametrize("count", [3, 10, 31])
def test_each_image_is_in_one_fold(count):
    folds = folds_of(data_of(count), 3, seed=0)
    assert sorted(np.concatenate(folds).tolist()) == list(range(count))
    assert max(map(len, folds)) - min(map(len, folds)) <= 1


def test_classes_are_alike_in_each_fold():
    data = data_of(30)
    for fold in folds_of(data, 3, seed=0):
        assert data.take(fold).counts().tolist() == [5, 5]


def test_images_that_show_the_same_stay_together():
    folds = folds_of(data_of(12), 3, seed=0, groups=[(0, 5, 11), (2, 3)])
    where = {int(image): number for number, fold in enumerate(folds) for image in fold}
    assert where[0] == where[5] == where[11]
    assert where[2] == where[3]


def test_fewer_images_than_folds_are_refused():
    with pytest.raises(InputError) as error:
        folds_of(data_of(2), 3, seed=0)
    assert (error.value.found, error.value.wanted) == (
        "2 images, too few that differ",
        "at least 3, one for each fold",
    )


def test_a_detector_learns_all_images_but_those_that_it_judges(coins, monkeypatch):
    data = masu.read_dataset(coins, "train")
    learnt = []

    def train(part, val, settings, out, **options):
        assert val is None
        learnt.append({path.name for path in part.paths})
        return real(part, val, settings, out, **options)

    real = cross_fitting.train
    monkeypatch.setattr(cross_fitting, "train", train)
    settings = TrainSettings(epochs=1, weights="none", image_size=64)
    folds = list(cross_fitted(data, settings, 2))
    everything = {path.name for path in data.paths}
    judged = [{data.paths[int(at)].name for at in fold.images} for fold in folds]
    assert [own | other for own, other in zip(judged, learnt, strict=True)] == [everything] * 2
    assert not any(own & other for own, other in zip(judged, learnt, strict=True))
    assert [fold.detector.names for fold in folds] == [data.names] * 2
