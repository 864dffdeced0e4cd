"""SAHI runs a detector of masu whole and in slices."""

import numpy as np
from sahi.predict import get_prediction, get_sliced_prediction, predict

from examples.clients.with_sahi import as_sahi, in_slices
from tests.clients.answers import assert_same


def columns(result):
    every = result.object_prediction_list
    return (
        [one.bbox.to_xyxy() for one in every],
        [one.score.value for one in every],
        [one.category.name for one in every],
    )


def test_a_whole_picture_is_predict(detector, data, pictures):
    model = as_sahi(detector)
    for (path, _), picture in list(zip(data, pictures, strict=True))[:3]:
        found = detector.predict([picture], threshold=0.5)[0]
        assert_same(found, *columns(get_prediction(picture, model)))
        assert_same(found, *columns(get_prediction(str(path), model)))


def test_slices_find_what_small_pictures_show(detector, pictures):
    """Four pictures side by side, one slice each, so that no object is cut."""
    tile = [picture[:224, :224] for picture in pictures[:4]]
    whole = np.concatenate([np.concatenate(tile[:2], 1), np.concatenate(tile[2:], 1)], 0)
    result = get_sliced_prediction(
        whole,
        as_sahi(detector),
        slice_height=224,
        slice_width=224,
        overlap_height_ratio=0.0,
        overlap_width_ratio=0.0,
        perform_standard_pred=False,
        postprocess_match_threshold=0.99,
    )
    boxes, scores, names = columns(result)
    every = detector.predict(tile, threshold=0.5)
    wanted = [
        box + 224 * np.array([i % 2, i // 2, i % 2, i // 2])
        for i, found in enumerate(every)
        for box in found.boxes.numpy()
    ]
    assert len(boxes) == len(wanted) > 4
    order, own = np.argsort(-np.array(scores)), np.argsort([-s for found in every for s in found.scores])
    np.testing.assert_allclose(np.array(boxes)[order], np.array(wanted)[own], atol=1e-3)
    assert [names[i] for i in order] == [[n for found in every for n in found.names][i] for i in own]


def test_the_slices_of_the_example(detector, pictures):
    double = np.concatenate([pictures[3][:224, :290], pictures[3][:224, :290]], 1)
    one = detector.predict([pictures[3][:224, :290]], threshold=0.5)[0]
    found = in_slices(detector, double, side=300).object_prediction_list
    assert {one.category.name for one in found} == set(one.names)
    assert len(found) >= 2 * len(one)


def test_image_size_is_set_on_the_transform(detector, pictures):
    """SAHI writes fractions into ``transform.min_size`` and ``max_size``."""
    model = as_sahi(detector)
    model.image_size = 256
    height, width = pictures[0].shape[:2]
    found = get_prediction(pictures[0], model).object_prediction_list
    assert model.model.transform.max_size == 256 * height / width
    assert len(found) > 0
    for one in found:
        x1, y1, x2, y2 = one.bbox.to_xyxy()
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height


def test_a_folder(detector, data, tmp_path):
    """``sahi.predict.predict`` writes pictures of what it found."""
    source = tmp_path / "in"
    source.mkdir()
    for path, _ in list(data)[:2]:
        (source / path.name).write_bytes(path.read_bytes())
    result = predict(
        detection_model=as_sahi(detector),
        source=str(source),
        no_sliced_prediction=True,
        project=str(tmp_path / "out"),
        name="run",
        return_dict=True,
        verbose=0,
    )
    written = sorted(path.name for path in result["export_dir"].rglob("*.png"))
    assert written == sorted(path.name for path in source.iterdir())
