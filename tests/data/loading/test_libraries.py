"""Transforms of torchvision and albumentations as augmentation: the same arithmetic, the same objects left."""

from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from masu.data.loading.callables import variation
from masu.data.loading.libraries import called
from masu.data.loading.transforms import Augmentation
from masu.errors import InputError
from masu.records import Target

PIXELS = torch.randint(0, 256, (3, 60, 80), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # its import would look for a newer version

FLIP = Augmentation(1, 0, 0, (1, 1))


def target() -> Target:
    """Four objects in 80×60 pixels; the second is a crowd, the third difficult."""
    return Target(
        [[5, 10, 20, 30], [0, 0, 40, 60], [60, 40, 80, 60], [70, 0, 80, 9.5]],  # type: ignore[arg-type]
        [2, 0, 1, 2],  # type: ignore[arg-type]
        ignored=[False, True, False, False],  # type: ignore[arg-type]
        difficult=[False, False, True, False],  # type: ignore[arg-type]
    )


def varied(given: Any, image: Tensor = PIXELS, seed: int = 3, bands: bool = False) -> tuple[Tensor, Target]:
    return variation(given).varied(image.clone(), target(), seed=seed, bands=bands, classes=3)


def objects(target: Target) -> list[tuple[list[float], int, bool, bool]]:
    columns = (target.boxes, target.labels, target.ignored, target.difficult)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def albumentations() -> Any:
    return pytest.importorskip("albumentations")


def composed(*transforms: Any, **params: Any) -> Any:
    A = albumentations()
    return A.Compose(list(transforms), bbox_params=A.BboxParams("pascal_voc", ["kinds"], **params))


def test_a_flip_of_torchvision_is_masu_s_own() -> None:
    image, after = varied(v2.RandomHorizontalFlip(1))
    own_image, own_after = varied(FLIP)
    assert type(image) is Tensor
    assert torch.equal(image, own_image)
    assert torch.equal(after.boxes, own_after.boxes)
    assert after.labels.tolist() == [2, 0, 1, 2]
    assert after.ignored.tolist() == [False, True, True, False]
    assert after.difficult.tolist() == [False, False, True, False]


class Cropped(v2.Transform):
    """A transform of one's own: the 40×40 pixels at the lower right."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return v2.functional.crop(inpt, 20, 40, 40, 40)


def test_sanitize_drops_the_right_rows() -> None:
    """The crop leaves the third object whole; of the others nothing, an edge or nothing."""
    sanitized = v2.Compose([Cropped(), v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes()])
    for given in (sanitized, Cropped()):  # without it masu leaves out what has no area
        image, after = varied(given)
        assert torch.equal(image, PIXELS[:, 20:, 40:])
        assert objects(after) == [([20, 20, 40, 40], 1, True, True)]
        assert after.areas.tolist() == [400]


def test_sanitize_may_leave_nothing() -> None:
    image, after = varied(v2.Compose([v2.Resize((6, 8)), v2.SanitizeBoundingBoxes(min_size=50)]))
    assert image.shape == (3, 6, 8)
    assert after.boxes.shape == (0, 4)


def test_boxes_may_be_converted_and_tensors_plain() -> None:
    """Corners from centre and sides, and tensors that no longer say what they are."""
    chain = v2.Compose(
        [v2.ConvertBoundingBoxFormat("CXCYWH"), v2.ToDtype(torch.float32, scale=True), v2.Resize(30)]
    )
    image, after = varied(chain)
    assert (image.dtype, image.shape) == (torch.float32, (3, 30, 40))
    assert torch.equal(after.boxes, target().boxes / 2)
    _, plain = varied(v2.Compose([v2.RandomHorizontalFlip(1), v2.ToPureTensor()]))
    assert torch.equal(plain.boxes, varied(FLIP)[1].boxes)


def test_the_usual_chain_of_torchvision_follows_the_seed() -> None:
    chain = v2.Compose(
        [
            v2.RandomPhotometricDistort(),
            v2.RandomZoomOut(),
            v2.RandomIoUCrop(),
            v2.RandomHorizontalFlip(),
            v2.SanitizeBoundingBoxes(),
        ]
    )
    found = [varied(chain, seed=seed) for seed in range(8)]
    assert len({image.shape for image, _ in found}) > 3
    for seed, (image, after) in enumerate(found):
        torch.rand(seed + 1)
        again, same = varied(chain, seed=seed)
        assert torch.equal(image, again)
        assert objects(after) == objects(same)


def test_torchvision_is_given_any_channels() -> None:
    bands = torch.linspace(-500, 3000, 5 * 60 * 80).reshape(5, 60, 80)
    assert torch.equal(varied(v2.RandomVerticalFlip(1), bands, bands=True)[0], bands.flip(1))


def test_what_torchvision_returns_is_checked() -> None:
    with pytest.raises(InputError) as caught:
        varied(v2.Normalize([0.5] * 3, [0.1] * 3), PIXELS / 255)
    assert str(caught.value) == (
        "augmentation torchvision.transforms.v2._misc.Normalize: found an image with values from -5 to 5, wanted "
        "floats 0–1; clip or rescale them; the detector normalises by itself"
    )
    with pytest.raises(
        InputError, match=r"PILImage: found an image of type Image, wanted a tensor \(C, H, W\)"
    ):
        varied(v2.ToPILImage())


def test_only_the_libraries_transforms_are_dressed() -> None:
    own = nn.Identity()
    assert called(own) is own
    assert called(Cropped()) != Cropped()


def test_settings_of_a_transform_are_described() -> None:
    said = variation(v2.Compose([v2.RandomHorizontalFlip(0.25)])).described()
    assert said["callable"] == "torchvision.transforms.v2._container.Compose"
    assert "RandomHorizontalFlip(p=0.25)" in said["repr"]


def test_a_flip_of_albumentations_is_masu_s_own() -> None:
    image, after = varied(composed(albumentations().HorizontalFlip(p=1)))
    own_image, own_after = varied(FLIP)
    assert torch.equal(image, own_image)
    torch.testing.assert_close(after.boxes, own_after.boxes)
    assert after.ignored.tolist() == [False, True, True, False]
    assert after.difficult.tolist() == [False, False, True, False]


def test_albumentations_drops_the_right_rows() -> None:
    """Of the crowd 600 of 2400 pixels would be left, of the small one at the top nothing."""
    crop = albumentations().Crop(30, 30, 80, 60, p=1)
    image, after = varied(composed(crop, min_visibility=0.3))
    assert torch.equal(image, PIXELS[:, 30:, 30:])
    (box, *rest), *others = objects(after)
    assert others == []
    assert box == pytest.approx([30, 10, 50, 30], abs=1e-4)
    assert rest == [1, True, True]


def test_albumentations_without_objects_and_as_tensors() -> None:
    chain = composed(albumentations().VerticalFlip(p=1), albumentations().ToTensorV2())
    image, after = variation(chain).varied(PIXELS, Target([], []), seed=1, bands=False, classes=1)  # type: ignore[arg-type]
    assert torch.equal(image, PIXELS.flip(1))
    assert len(after) == 0


def test_flips_of_albumentations_follow_the_seed_and_not_each_other() -> None:
    A = albumentations()
    chain = composed(A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5))
    ways = {name: PIXELS.flip(sides) for name, sides in (("", []), ("h", [2]), ("v", [1]), ("hv", [1, 2]))}
    found = [
        next(name for name, pixels in ways.items() if torch.equal(varied(chain, seed=seed)[0], pixels))
        for seed in range(24)
    ]
    assert set(found) == set(ways)
    other = composed(A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5))
    for seed in (5, 1, 3):  # another object, another order
        np.random.rand(seed)
        assert torch.equal(varied(other, seed=seed)[0], ways[found[seed]])


def test_albumentations_can_be_sent_to_workers() -> None:
    chain = composed(albumentations().RandomCrop(20, 20))
    sent = pickle.loads(pickle.dumps(chain))  # noqa: S301
    assert torch.equal(varied(sent, seed=8)[0], varied(chain, seed=8)[0])
    assert variation(sent).described() == variation(chain).described()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (None, "none"),
        (("coco", ["kinds"]), "format 'coco' and label_fields ['kinds']"),
        (("pascal_voc", None), "format 'pascal_voc' and label_fields []"),
        (("pascal_voc", ["a", "b"]), "format 'pascal_voc' and label_fields ['a', 'b']"),
    ],
)
def test_albumentations_with_other_boxes_is_refused(params: tuple[Any, Any] | None, said: str) -> None:
    A = albumentations()
    given = A.Compose([A.HorizontalFlip()], bbox_params=params and A.BboxParams(*params))
    with pytest.raises(InputError) as caught:
        variation(given)
    assert str(caught.value) == (
        f"bbox_params of the albumentations augmentation: found {said}, wanted a Compose whose boxes are x1 y1 x2 y2 "
        'in pixels, with one label field; give bbox_params=albumentations.BboxParams(format="pascal_voc", '
        'label_fields=["labels"])'
    )


def test_a_lone_transform_of_albumentations_is_refused() -> None:
    with pytest.raises(
        InputError, match="albumentations augmentation: found none, wanted a Compose whose boxes"
    ):
        variation(albumentations().HorizontalFlip())
