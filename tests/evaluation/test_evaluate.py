import numpy as np
import pytest
from PIL import Image

from masu.errors import InputError
from masu.evaluation.evaluate import evaluate
from masu.evaluation.metrics import Metrics, ProposalMetrics
from masu.ops.images import InputPolicy
from masu.records import Detections, Target


class Data:
    """Images whose width is 20 + their position, each with one 10 × 10 object in the corner."""

    def __init__(self, folder, labels, names, ignored=False):
        self.names = names
        self.items = []
        for i, label in enumerate(labels):
            path = folder / f"{i}.png"
            Image.fromarray(np.zeros((20, 20 + i, 3), np.uint8)).save(path)
            self.items.append((path, Target([[0, 0, 10, 10]], [label], [ignored])))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Stub:
    """Finds the corner object; the class is given for each image by its width."""

    input = InputPolicy()

    def __init__(self, names, answers, kind="detector"):
        self.names, self.answers, self.kind = names, answers, kind
        self.thresholds, self.batches = [], []

    def predict(self, images, threshold=None, batch_size=1):
        self.thresholds.append(threshold)
        self.batches.append(len(images))
        labels = [self.answers[image.shape[2] - 20] for image in images]
        return [Detections([[0, 0, 10, 10]], [0.5], [k], [self.names[k]]) for k in labels]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_answers_meet_their_targets_at_any_batch_size(tmp_path, batch_size):
    data = Data(tmp_path, [0, 1, 0, 1], ("cat", "dog"))
    steps = []
    stub = Stub(("cat", "dog"), [0, 1, 0, 1])
    metrics = evaluate(stub, data, batch_size=batch_size, progress=lambda *step: steps.append(step))
    assert isinstance(metrics, Metrics)
    assert (metrics.ap, metrics.images, metrics.objects, metrics.faults) == (1, 4, 4, ())
    assert metrics.seconds_per_image > 0
    assert steps[-1] == (4, 4)
    assert max(stub.batches) == min(batch_size, 4)
    assert set(stub.thresholds) == {None}


def test_a_wrong_class_is_wrong(tmp_path):
    metrics = evaluate(Stub(("cat", "dog"), [0, 0]), Data(tmp_path, [0, 1], ("cat", "dog")))
    assert metrics.per_class["dog"].ap == 0
    # the wrong cat ties with the right one and comes later
    assert metrics.per_class["cat"].ap50 == 1


def test_classes_are_compared_by_name(tmp_path):
    data = Data(tmp_path, [0, 1], ("dog", "cat"))
    metrics = evaluate(Stub(("bird", "cat", "dog"), [2, 1]), data)
    assert metrics.ap == 1
    assert list(metrics.per_class) == ["dog", "cat"]


def test_detections_of_a_class_that_the_data_lacks_are_left_out(tmp_path):
    metrics = evaluate(Stub(("bird", "cat"), [0, 1]), Data(tmp_path, [0, 0], ("cat",)))
    assert metrics.per_class["cat"].ar100 == 0.5


def test_objects_of_a_class_unknown_to_the_detector_are_missed_and_named(tmp_path):
    metrics = evaluate(Stub(("cat",), [0, 0]), Data(tmp_path, [0, 1], ("cat", "dog", "cow")))
    assert metrics.per_class["dog"].ap == 0
    assert metrics.faults == ("class 'dog': unknown to the detector; 1 labelled, all count as missed",)


def test_no_class_in_common_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"found classes Cat, wanted at least one of the detector's cat"):
        evaluate(Stub(("cat",), [0]), Data(tmp_path, [0], ("Cat",)))


def test_unreadable_images_are_left_out_and_named(tmp_path):
    data = Data(tmp_path, [0, 0, 0], ("cat",))
    (tmp_path / "0.png").write_bytes(b"no image")
    (tmp_path / "1.png").unlink()
    metrics = evaluate(Stub(("cat",), [0, 0, 0]), data, batch_size=2)
    assert (metrics.images, metrics.objects, metrics.ap) == (1, 1, 1)
    assert [name in fault for name, fault in zip(("0.png", "1.png"), metrics.faults, strict=True)] == [
        True,
        True,
    ]


def test_nothing_to_evaluate_is_an_error(tmp_path):
    with pytest.raises(InputError, match="found no images"):
        evaluate(Stub(("cat",), []), Data(tmp_path, [], ("cat",)))
    data = Data(tmp_path, [0], ("cat",))
    (tmp_path / "0.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"none of 1 images can be read; the first: .*0\.png"):
        evaluate(Stub(("cat",), [0]), data)


def test_proposals_are_scored_without_classes(tmp_path):
    stub = Stub(("object",), [0, 0], kind="proposals")
    metrics = evaluate(stub, Data(tmp_path, [0, 1], ("cat", "dog")))
    assert isinstance(metrics, ProposalMetrics)
    assert (metrics.ar100, metrics.recall50_at_1000, metrics.objects, metrics.faults) == (1, 1, 2, ())
    assert metrics.seconds_per_image > 0


def test_only_ignored_objects_are_nothing_to_find(tmp_path):
    metrics = evaluate(Stub(("cat",), [0]), Data(tmp_path, [0], ("cat",), ignored=True))
    assert (metrics.ap, metrics.objects) == (None, 0)
