"""The parts of a data set by name: what a word such as ``Validation`` or ``instances_train2017`` means.

Every reader hands over the words as it finds them, names of files, of folders or cells of a column; what they
mean is decided here alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from masu.errors import InputError, bad_input, listed

TRAIN, VAL, TRAINVAL, TEST = "train", "val", "trainval", "test"

ROLES = (TRAIN, VAL, TRAINVAL, TEST)
"""What a part can be for, in the order in which parts are listed."""

NO_SPLIT = "no split"
"""Stands for the images that no split names, where there are splits."""

UNLISTED = "unlisted"
"""The split or folder that they get where a written format has no other place for them."""

_WORDS = {
    TRAIN: (
        *("train", "training", "trn", "minitrain"),
        *("entrenamiento", "entraînement", "entrainement", "apprentissage", "treino", "treinamento"),
        *("addestramento", "обучение", "训练", "訓練", "训练集", "訓練集", "학습", "훈련", "学習"),
    ),
    VAL: (
        *("val", "valid", "validation", "validate", "validating", "minival"),
        *("dev", "devel", "development", "eval", "evaluation"),
        *("validación", "validacion", "validação", "validacao", "validierung", "validazione", "валидация"),
        *("验证", "驗證", "验证集", "驗證集", "검증", "検証"),
    ),
    TRAINVAL: ("trainval", "trainvalid", "trainvalidation", "traindev"),
    TEST: (
        *("test", "testing", "tst", "testdev", "holdout"),
        *("prueba", "pruebas", "teste", "testes", "тест"),
        *("测试", "測試", "测试集", "測試集", "테스트", "テスト"),
    ),
}
_ENDINGS = ("", "s", "set", "data", "split", "images", "imgs", "labels", "annotations", "annos")
_ROLE_OF = {word + end: role for role, words in _WORDS.items() for word in words for end in _ENDINGS}
_BESIDE = frozenset(
    (
        *("instances", "instance", "annotations", "annotation", "annots", "anno", "ann", "labels", "label"),
        *(
            "images",
            "image",
            "imgs",
            "img",
            "set",
            "sets",
            "data",
            "dataset",
            "split",
            "splits",
            "list",
            "table",
        ),
        *("coco", "voc", "yolo", "csv", "json", "xml", "txt", "bbox", "bboxes", "box", "boxes", "main"),
        *("gt", "ground", "truth", "objects", "object", "detection", "detections", "person", "keypoints"),
        *("metadata", "roboflow", "file", "files", "of", "the"),
    )
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_FOLD = ("fold", "kfold", "cv")
_PARTS = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def role(name: str, *, strict: bool = False) -> str | None:
    """What a split of this name is for: one of ``ROLES``, or None where the name does not say.

    Case, years, separators and words such as ``instances`` or ``labels`` count for nothing.

    Args:
        name: of a split, a folder, or a file without its suffix.
        strict: the name must be about nothing else: ``train_labels`` yes, ``train_cats`` no.
    """
    words = _words(name)
    roles = {_ROLE_OF[word] for word in words if word in _ROLE_OF}
    if strict and any(not (word in _ROLE_OF or word in _BESIDE or word.isdigit()) for word in words):
        return None
    if {TRAIN, VAL} <= roles <= {TRAIN, VAL, TRAINVAL}:
        return TRAINVAL
    if TEST in roles and "dev" in words:  # COCO's test-dev
        roles.discard(VAL)
    return roles.pop() if len(roles) == 1 else None


def folder_split(parts: Iterable[str]) -> str | None:
    """The first of a path's folders that is named as a split, as it is written; None for none."""
    return next((part for part in parts if role(part, strict=True)), None)


def paired(folders: Iterable[str]) -> frozenset[str]:
    """Of folders side by side, those that are splits by each other: ``train_A`` and ``val_A``, ``fold_1`` and
    ``fold_2``. Alone, ``train_A`` may be about anything.
    """
    alike: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for folder in folders:
        words = _words(folder)
        if (of := role(folder)) is not None:
            alike[tuple(word for word in words if word not in _ROLE_OF)][of].append(folder)
        elif is_fold(folder):
            alike[(words[0],)][words[1]].append(folder)
    kinds = (kind for kind in alike.values() if len(kind) > 1)
    return frozenset(folder for kind in kinds for names in kind.values() for folder in names)


def is_fold(name: str) -> bool:
    """Whether a name is that of a fold of cross-validation, such as ``fold_1``."""
    words = _words(name)
    return len(words) == 2 and words[0] in _FOLD and words[1].isdecimal()


def split_names(words: Iterable[str]) -> dict[str, str]:
    """What the splits of a data set are called, by the words that stand for them.

    Words of one role are one split under the role's name. Where they are of several years or folds, each is a
    split of its own: the same images may be shared out in another way. ``train_again`` beside ``train`` is
    another split; ``train_cats`` and ``train_dogs`` alone are one.
    """
    words = list(dict.fromkeys(words))
    plain = {word for word in words if role(word, strict=True) is not None}
    roles = {role(word) for word in plain}
    turns: dict[str | None, set[str]] = defaultdict(set)
    for word in words:
        if word in plain or role(word) not in roles:
            turns[role(word)].add(_turn(word))
    names = {}
    for word in words:
        of = role(word)
        if of is None or (of in roles and word not in plain):
            names[word] = _bare(word)
        else:
            names[word] = of + (_turn(word) if len(turns[of]) > 1 else "")
    return names


def in_order(names: Iterable[str]) -> list[str]:
    """Splits in the order of work (train, val, …, test), then the others by name."""
    rank = {name: number for number, name in enumerate(ROLES)}
    return sorted(set(names), key=lambda name: (rank.get(role(name) or "", len(rank)), name))


def choose(asked: str, splits: Sequence[str], thing: object) -> str:
    """The split that is asked for, in any wording.

    Raises:
        InputError: where there is none of that meaning, or several.
    """
    if asked in splits or (asked == NO_SPLIT and splits):
        return asked
    if not splits:
        found = f"a data set without splits and the split {asked!r} asked for"
        raise bad_input(thing, found, "no split", "leave the split out to read everything")
    wanted = role(asked)
    alike = [name for name in splits if wanted is not None and role(name) == wanted]
    if len(alike) > 1:
        alike = [name for name in alike if _turn(name) == _turn(asked)]
    if len(alike) == 1:
        return alike[0]
    raise bad_input(
        thing, f"no split {asked!r}", f"one of {listed(splits)}", "choose one of these", code="unknown-name"
    )


def training_split(asked: str | None, splits: Sequence[str], thing: object) -> str | None:
    """The split to learn from: the one asked for, else train, else trainval; None: there are no splits.

    Raises:
        InputError: where there are splits and none, or more than one, is for training.
    """
    if chosen := _first_of((TRAIN, TRAINVAL), "train", asked, splits, thing):
        return chosen
    if not splits:
        return None
    raise bad_input(
        thing,
        f"the splits {listed(splits)}",
        "one that is named for training",
        f"say which with --split NAME ({NO_SPLIT!r} means the images that are in none)",
    )


def validation_split(asked: str | None, splits: Sequence[str], thing: object) -> str | None:
    """The split to validate on: the one asked for, else val; None: none is.

    Raises:
        InputError: where more than one is for validation.
    """
    return _first_of((VAL,), "validate", asked, splits, thing, "--val-split")


def evaluation_split(asked: str | None, splits: Sequence[str], thing: object) -> str | None:
    """The split to measure on: the one asked for, else test, else val; None: there are no splits.

    Raises:
        InputError: where there are splits and none, or more than one, is for that.
    """
    if chosen := _first_of((TEST, VAL), "measure", asked, splits, thing):
        return chosen
    if not splits:
        return None
    raise _ask(thing, f"the splits {listed(splits)}", "one that is named test or val", "--split")


def _first_of(
    roles: Iterable[str],
    work: str,
    asked: str | None,
    splits: Sequence[str],
    thing: object,
    option: str = "--split",
) -> str | None:
    """The split asked for, else the one of the first role that any has; None: none has one of the roles."""
    if asked is not None:
        return choose(asked, splits, thing)
    for wanted in roles:
        alike = [name for name in splits if role(name) == wanted]
        if len(alike) > 1:
            raise _ask(thing, f"several splits to {work} on ({listed(alike)})", "one", option)
        if alike:
            return alike[0]
    return None


def _ask(thing: object, found: str, wanted: str, option: str) -> InputError:
    return bad_input(thing, found, wanted, f"say which with {option} NAME")


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", _CAMEL.sub("_", name)).casefold()
    return _PARTS.findall(plain)


def _turn(word: str) -> str:
    """The year or the fold that a word says."""
    words = _words(word)
    fold = next(
        (f"-{one}{number}" for one, number in pairwise(words) if one in _FOLD and number.isdecimal()), ""
    )
    return next((part for part in words if _YEAR.fullmatch(part)), "") + fold


def _bare(word: str) -> str:
    """The word without what every file of a format has before it."""
    bare = re.sub(r"^(instances|annotations|labels)[-_. ]+", "", word)
    return bare or word
