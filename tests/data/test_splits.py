"""What the words for splits mean."""

import unicodedata

import pytest

from masu.data.formats import read_annotations
from masu.data.splits import choose, paired, split_names
from tests.data.formats.minimal import picture, text


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (["train_A", "val_A", "notes"], {"train_A", "val_A"}),
        (["train_A", "train_B"], set()),
        (["train_A", "val_B"], set()),
        (["Development boards", "cats"], set()),
        (["fold_1", "Fold 2", "fold"], {"fold_1", "Fold 2"}),
        (["fold1"], set()),
        (["train_cats", "train_dogs", "test_cats"], {"train_cats", "test_cats"}),
    ],
)
def test_folders_that_are_splits_by_those_beside_them(folders, splits):
    assert paired(folders) == splits


@pytest.mark.parametrize(
    "words",
    [
        ["entrenamiento", "Validación", "prueba"],
        ["entraînement", "validation", "test"],
        ["treino", "validação", "teste"],
        ["训练集", "验证集", "测试集"],
        ["学習", "検証", "テスト"],
        ["학습", "검증", "테스트"],
        ["обучение", "валидация", "тест"],
    ],
)
def test_words_of_other_languages(words):
    assert list(split_names(words).values()) == ["train", "val", "test"]
    assert list(split_names(unicodedata.normalize("NFD", word) for word in words).values()) == [
        "train",
        "val",
        "test",
    ]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["train_fold1", "val_fold1"], ["train", "val"]),
        (
            ["train_fold1", "val_fold1", "fold2_train", "fold2_val", "test"],
            ["train-fold1", "val-fold1", "train-fold2", "val-fold2", "test"],
        ),
        (["train-fold1", "train-fold2"], ["train-fold1", "train-fold2"]),
        (["fold_1", "fold_2"], ["fold_1", "fold_2"]),
    ],
)
def test_folds_stay_apart(words, names):
    assert list(split_names(words).values()) == names


def test_pictures_of_folders_of_one_set_beside_each_other(tmp_path):
    for split in ("train_A", "val_A"):
        picture(tmp_path / f"images/{split}/a.png")
        text(tmp_path / f"labels/{split}/a.txt", "0 0.5 0.5 0.25 0.25\n")
    data = read_annotations(tmp_path)
    assert data.splits == ("train", "val")
    assert data.members.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("train_fold2", "train-fold2"),
        ("Fold 1 validation", "val-fold1"),
        ("instances_train2017", "train2017"),
    ],
)
def test_a_split_of_a_fold_or_year_in_another_wording(asked, found):
    splits = ["train-fold1", "train-fold2", "train2014", "train2017", "val-fold1", "val-fold2"]
    assert choose(asked, splits, "data") == found
