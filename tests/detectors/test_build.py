import json
import os
from dataclasses import asdict, replace

import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

import masu
from masu.detectors import build as build_module
from masu.detectors.build import build, load, make, save, warm_start
from masu.detectors.cascade_rcnn import CascadeRCNN
from masu.detectors.faster_rcnn import FasterRCNN, FasterRCNNConfig
from masu.detectors.rois import RoISettings
from masu.detectors.rpn import RPN, RPNConfig
from masu.detectors.zoo import ARCHITECTURES, DETECTORS, with_backbone
from masu.errors import InputError
from masu.exports.write import SUFFIXES
from masu.nets.norm import FrozenNorm
from masu.ops.images import InputPolicy
from masu.settings import read

NAMES = ["red cell", "white cell", "plättchen"]
WANTED = "wanted a model file that masu wrote (RUN/best.safetensors)"
LITE = "faster_rcnn_lite0_fpn"


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    return build(LITE, NAMES, weights="auto", image_size=128).eval()


@pytest.fixture(scope="module")
def saved(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "deep" / "best.safetensors"
    save(detector, path)
    return path


@pytest.fixture(scope="module")
def image():
    return torch.rand(3, 128, 160, generator=torch.Generator().manual_seed(0))


def rewritten(saved, folder, **changes):
    """The saved file with other metadata; None removes an entry."""
    with safetensors.safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    metadata = {k: v for k, v in (metadata | changes).items() if v is not None}
    path = folder / "changed.safetensors"
    safetensors.torch.save_file(tensors, path, metadata)
    return path


def config_of(saved):
    with safetensors.safe_open(saved, framework="pt") as file:
        return json.loads(file.metadata()["config"])


def message_of(function, *arguments, **options):
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_round_trip_gives_equal_predictions(detector, saved, image):
    loaded = load(saved)
    assert isinstance(loaded, FasterRCNN)
    assert not loaded.training
    assert loaded.names == tuple(NAMES)
    assert loaded.config == detector.config
    ours, theirs = detector.predict([image])[0], loaded.predict([image])[0]
    assert len(ours) > 0
    assert torch.equal(ours.boxes, theirs.boxes)
    assert torch.equal(ours.scores, theirs.scores)
    assert torch.equal(ours.labels, theirs.labels)
    assert ours.names == theirs.names


def test_every_tensor_is_saved_and_the_trained_ones_stay_the_same(detector, saved):
    loaded = load(saved)
    assert loaded.state_dict().keys() == detector.state_dict().keys()
    assert all(
        torch.equal(a, b)
        for a, b in zip(loaded.state_dict().values(), detector.state_dict().values(), strict=True)
    )
    trained = {n for n, p in detector.named_parameters() if p.requires_grad}
    assert {n for n, p in loaded.named_parameters() if p.requires_grad} == trained


def test_the_file_explains_itself(saved):
    with safetensors.safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "masu-1"
    assert metadata["version"] == masu.__version__
    assert metadata["type"] == "FasterRCNN"
    assert json.loads(metadata["names"]) == NAMES


def test_a_proposal_generator_round_trips(tmp_path):
    config = RPNConfig(
        "efficientnet_lite0", anchor_sizes=((16.0,), (32.0,), (64.0,), (128.0,)), fpn_channels=16
    )
    save(make(config, ()), tmp_path / "rpn.safetensors")
    loaded = load(tmp_path / "rpn.safetensors")
    assert isinstance(loaded, RPN)
    assert loaded.config == config
    assert loaded.names == ("object",)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_configuration_survives_json(name):
    config = ARCHITECTURES[name]()
    assert read(type(config), json.loads(json.dumps(asdict(config))), "") == config


def test_save_replaces_a_file_and_leaves_nothing_beside_it(detector, tmp_path):
    path = tmp_path / "best.safetensors"
    path.write_text("old")
    save(detector, path)
    assert os.listdir(tmp_path) == ["best.safetensors"]
    assert load(str(path)).names == tuple(NAMES)


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_whole(detector, tmp_path, monkeypatch, broken):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    path = tmp_path / "best.safetensors"
    path.write_text("old")
    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(InputError) as caught:
        save(detector, path)
    assert str(caught.value).startswith(f"{path}: found no space left on device")
    assert str(caught.value).endswith(
        ", wanted a folder with room that can be written to; the file is as it was before"
    )
    assert os.listdir(tmp_path) == ["best.safetensors"]
    assert path.read_text() == "old"


def test_only_detectors_are_saved(tmp_path):
    with pytest.raises(TypeError, match=r"^detector: found Linear, wanted a detector of masu$"):
        save(nn.Linear(1, 1), tmp_path / "x")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("function", [load])
class TestFilesThatAreNoModels:
    def test_missing(self, function, tmp_path):
        path = tmp_path / "none.safetensors"
        assert message_of(function, path) == f"{path}: found no such file, {WANTED}"

    @pytest.mark.parametrize("suffix", SUFFIXES.values())
    def test_an_exported_file(self, function, tmp_path, suffix):
        path = tmp_path / f"best{suffix}"
        path.write_bytes(bytes(100))
        assert message_of(function, path) == (
            f"{path}: found an exported model, {WANTED}; take the .safetensors file that it was exported from"
        )

    def test_folder(self, function, tmp_path):
        assert message_of(function, tmp_path) == (
            f"{tmp_path}: found a folder without best.safetensors, wanted a model, an exported file or a run; "
            "check the path"
        )

    @pytest.mark.parametrize("contents", [b"", b"no model", b"no model, but a somewhat longer text"])
    def test_text(self, function, tmp_path, contents):
        path = tmp_path / "note.txt"
        path.write_bytes(contents)
        message = message_of(function, path)
        assert message.startswith(f"{path}: found a file that is no safetensors (")
        assert message.endswith(f"), {WANTED}")

    @pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
    def test_truncated(self, function, saved, tmp_path, share):
        path, whole = tmp_path / "cut.safetensors", saved.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        message = message_of(function, path)
        assert message.startswith(f"{path}: found a file that is no safetensors (")
        assert message.endswith(f"), {WANTED}")

    @pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"format": "masu-2"}])
    def test_another_programs_safetensors(self, function, tmp_path, metadata):
        path = tmp_path / "other.safetensors"
        safetensors.torch.save_file({"a": torch.zeros(1)}, path, metadata)
        assert (
            message_of(function, path)
            == f"{path}: found a safetensors file without masu's description, {WANTED}"
        )


def unknown(path, why, version=masu.__version__):
    return (
        f"{path}: found settings that masu {masu.__version__} does not know ({why}), "
        f"written by masu {version}; wanted a file of this version or older; update masu"
    )


def test_an_unknown_setting_is_named(saved, tmp_path):
    config = config_of(saved)
    config["rois"]["colour"] = 1
    path = rewritten(saved, tmp_path, config=json.dumps(config), version="9.9")
    assert message_of(load, path) == unknown(path, "unknown setting 'rois.colour'", "9.9")


def test_an_unknown_kind_of_detector_is_named(saved, tmp_path):
    path = rewritten(saved, tmp_path, type="Oracle", version=None)
    assert message_of(load, path) == unknown(
        path, f"type: found 'Oracle', wanted one of {', '.join(DETECTORS)}", "unknown"
    )


@pytest.mark.parametrize("entry", ["type", "names", "config"])
def test_a_missing_description_is_named(saved, tmp_path, entry):
    path = rewritten(saved, tmp_path, **{entry: None})
    assert message_of(load, path) == unknown(path, f"{entry}: found none, wanted it beside the weights")


def test_a_missing_setting_that_has_no_default_is_an_error(saved, tmp_path):
    config = config_of(saved)
    del config["rpn"]["backbone"]
    path = rewritten(saved, tmp_path, config=json.dumps(config))
    message = message_of(load, path)
    assert message.startswith(f"{path}: found settings that masu {masu.__version__} does not know (")
    assert "(rpn.backbone: found none, wanted this setting)" in message


def test_an_unknown_backbone_is_named(saved, tmp_path):
    config = config_of(saved)
    config["rpn"]["backbone"] = "abacus"
    assert "backbone: found 'abacus', wanted one of " in message_of(
        load, rewritten(saved, tmp_path, config=json.dumps(config))
    )


@pytest.mark.parametrize("config", ["not json", "null", "[]", '{"rpn": null}', "3"])
def test_settings_of_another_shape_are_an_error(saved, tmp_path, config):
    path = rewritten(saved, tmp_path, config=config)
    assert message_of(load, path).startswith(
        f"{path}: found settings that masu {masu.__version__} does not know ("
    )


@pytest.mark.parametrize("change", [{"anchor_sizes": [[8]]}, {"anchor_sizes": [[8], [16, 32], [64], [128]]}])
def test_anchor_sizes_that_do_not_fit_are_an_error(saved, tmp_path, change):
    config = config_of(saved)
    config["rpn"] |= change
    assert "anchor_sizes: found" in message_of(load, rewritten(saved, tmp_path, config=json.dumps(config)))


def test_other_settings_than_the_weights_are_an_error(saved, tmp_path):
    path = rewritten(saved, tmp_path, names=json.dumps(["one"]))
    assert message_of(load, path) == (
        f"{path}: found (4, 512) for predictor.scores.weight, wanted (2, 512); these are weights of another "
        "architecture or other classes; choose the --architecture they were trained with"
    )


def test_a_warm_start_with_the_same_classes_takes_over_everything(detector):
    other = build(LITE, NAMES, image_size=96)
    taken = warm_start(other, detector)
    assert (taken.reset, taken.classes, taken.new_classes) == ((), tuple(NAMES), ())
    for (name, a), b in zip(other.state_dict().items(), detector.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("architecture", [LITE, "retinanet_lite0_fpn", "cascade_rcnn_lite0_fpn"])
def test_classes_are_taken_over_by_name(architecture):
    """Other order, one class gone and two new ones: every score and box of a kept class stays."""
    old = build(architecture, ["cat", "dog", "cow"], weights="none")
    new = build(architecture, ["hen", "cow", "cat", "ant"], weights="none")
    with torch.no_grad():
        for p in old.parameters():
            p.add_(torch.randn_like(p) * 0.01)
    hen = new_rows(new, 0)
    taken = warm_start(new, old)
    assert (taken.classes, taken.new_classes) == (("cow", "cat"), ("hen", "ant"))
    assert str(taken) == f"{taken.kept} tensors kept; classes kept: cow, cat; new classes: hen, ant"
    assert all(torch.equal(a, b) for a, b in zip(hen, new_rows(new, 0), strict=True))
    for mine, theirs in ((1, 2), (2, 0)):
        for a, b in zip(new_rows(new, mine), new_rows(old, theirs), strict=True):
            assert torch.equal(a, b)
    if architecture == LITE:
        assert torch.equal(new.predictor.scores.weight[-1], old.predictor.scores.weight[-1])
    by_class = ("predictor.", "head.classes.output.", *(f"heads.{t}.predictor.scores." for t in range(3)))
    for name, tensor in new.state_dict().items():
        if not name.startswith(by_class):
            assert torch.equal(tensor, old.state_dict()[name]), name


def new_rows(detector, label):
    """The weights that only one class has, by hand."""
    classes = len(detector.names)
    if isinstance(detector, FasterRCNN):
        scores, deltas = detector.predictor.scores, detector.predictor.deltas
        box = slice(4 * label, 4 * label + 4)
        return [
            t.clone()
            for t in (scores.weight[label], scores.bias[label], deltas.weight[box], deltas.bias[box])
        ]
    if isinstance(detector, CascadeRCNN):
        return [t[label].clone() for head in detector.heads for t in head.predictor.scores.parameters()]
    output = detector.head.classes.output
    return [output.weight[label::classes].clone(), output.bias[label::classes].clone()]


def test_a_warm_start_with_other_anchors_starts_their_layers_anew(detector):
    config = detector.config
    other = make(replace(config, rpn=replace(config.rpn, anchor_ratios=(0.5, 1.0))), detector.names)
    taken = warm_start(other, detector)
    assert taken.reset == tuple(f"rpn.head.{n}.{leaf}" for n in ("objectness", "deltas") for leaf in LEAVES)
    assert taken.classes == detector.names
    assert str(taken).endswith(
        "; started anew: rpn.head.objectness.weight, rpn.head.objectness.bias, rpn.head.deltas.weight, "
        "rpn.head.deltas.bias"
    )


LEAVES = ("weight", "bias")


def test_a_warm_start_from_another_backbone_is_refused(detector):
    other = make(with_backbone(detector.config, "timm/resnet10t"), ("a",))
    with pytest.raises(InputError) as caught:
        warm_start(other, detector)
    assert str(caught.value) == (
        "weights: found a FasterRCNN on efficientnet_lite0, wanted a FasterRCNN on timm/resnet10t; choose "
        "the --architecture and --backbone it was trained with"
    )


def test_a_warm_start_from_another_kind_is_refused(detector):
    with pytest.raises(InputError, match="found a FasterRCNN on efficientnet_lite0, wanted a RetinaNet on "):
        warm_start(build("retinanet_lite0_fpn", NAMES, "none"), detector)


def test_weights_trained_from_nothing_fill_a_frozen_detector():
    taken = warm_start(build(LITE, ["a"], weights="imagenet"), build(LITE, ["a"], weights="none"))
    assert taken.reset == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("yolo", ["a"]), f"architecture: found 'yolo', wanted one of {', '.join(ARCHITECTURES)}"),
        ((LITE, ["a"], "coco"), "weights: found 'coco', wanted one of auto, imagenet, none"),
        ((LITE, []), "names: found none, wanted at least one class name"),
        ((LITE, ["a", "b", "a"]), "names: found 'a' more than once, wanted each class name once"),
        ((LITE, "cell"), "names: found 'cell', wanted a list of class names"),
        ((LITE, [1, 2]), "names: found [1, 2], wanted a list of class names"),
    ],
)
def test_build_refuses_by_name(arguments, message):
    assert message_of(build, *arguments) == message


def test_load_refuses_an_unknown_torchvision_model():
    message = message_of(load, "torchvision/yolo")
    assert message.startswith(
        "torchvision/yolo: found an unknown model, wanted one of fasterrcnn_resnet50_fpn, "
    )


def norms(net):
    return {type(m) for m in net.modules() if isinstance(m, FrozenNorm | nn.BatchNorm2d)}


def test_from_nothing_everything_is_trained():
    detector = build(LITE, NAMES, weights="none")
    assert FrozenNorm not in norms(detector)
    assert all(p.requires_grad for p in detector.parameters())
    assert not detector.config.rpn.frozen_norms


@pytest.mark.parametrize("weights", ["imagenet", "auto"])
def test_from_imagenet_stem_three_stages_and_depthwise_filters_are_frozen(weights):
    backbone = build(LITE, NAMES, weights=weights).rpn.backbone
    assert norms(backbone) == {FrozenNorm}
    frozen = {
        name for name, s in backbone.named_children() if not any(p.requires_grad for p in s.parameters())
    }
    assert frozen == {"conv_stem", "bn1", "blocks_0", "blocks_1", "blocks_2"}
    for name, p in backbone.named_parameters():
        assert p.requires_grad == (name.split(".")[0] not in frozen and "conv_dw" not in name), name


def test_auto_needs_no_download(monkeypatch):
    monkeypatch.setattr(build_module, "fill_imagenet", lambda *args: pytest.fail(f"asked for {args[1]}"))
    small = RPNConfig("mobilenet_v3_large", frozen_norms=True, frozen_stride=8, anchor_sizes=((8.0,),) * 3)
    monkeypatch.setitem(ARCHITECTURES, "small", lambda: small)
    detector = build("small", [], weights="auto")
    assert isinstance(detector, RPN)
    assert FrozenNorm not in norms(detector)
    assert all(p.requires_grad for p in detector.parameters())


def test_the_epsilon_is_the_architectures():
    for weights in ("none", "imagenet"):
        backbone = build(LITE, ["a"], weights=weights).rpn.backbone
        assert {m.eps for m in backbone.modules() if isinstance(m, FrozenNorm | nn.BatchNorm2d)} == {1e-3}


def test_image_size_changes_only_the_input_policy():
    whole, half = ARCHITECTURES[LITE](), build(LITE, ["a"], weights="auto", image_size=160).config
    assert (half.rpn.input.min_size, half.rpn.input.max_size) == (160, 320)
    assert replace(half, rpn=replace(half.rpn, input=whole.rpn.input)) == whole
    assert build(LITE, ["a"]).config == whole


def test_an_image_as_small_as_the_size_says(detector, image):
    assert isinstance(detector.config, FasterRCNNConfig)
    assert isinstance(detector.config.rois, RoISettings)
    assert detector.config.rpn.input == InputPolicy(128, 256, (0.5,) * 3, (0.5,) * 3)
    with torch.inference_mode():
        assert detector([image]).images.pixels.shape == (1, 3, 128, 160)


def data_of(path):
    """The bytes of a safetensors file after its header."""
    content = path.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little") :]


def test_thresholds_are_stored_beside_weights_that_stay_the_same(saved, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(saved.read_bytes())
    assert load(path).thresholds == {}
    build_module.store_thresholds(path, {"red cell": 0.25, "plättchen": 0.75})
    loaded = load(path)
    assert loaded.thresholds == {"red cell": 0.25, "plättchen": 0.75}
    assert data_of(path) == data_of(saved)
    assert os.listdir(tmp_path) == ["model.safetensors"]
    # whoever saves it anew keeps them, and none is the state of before
    save(loaded, tmp_path / "again.safetensors")
    assert load(tmp_path / "again.safetensors").thresholds == loaded.thresholds
    build_module.store_thresholds(path, {})
    assert load(path).thresholds == {}
    with (
        safetensors.safe_open(path, framework="pt") as file,
        safetensors.safe_open(saved, framework="pt") as old,
    ):
        assert file.metadata() == old.metadata()
    assert data_of(path) == data_of(saved)


def test_margins_are_stored_beside_thresholds_and_go_with_them(saved, tmp_path, image):
    path = tmp_path / "model.safetensors"
    path.write_bytes(saved.read_bytes())
    assert load(path).margins == {}
    message = message_of(load(path).predict, image, margins=True)
    assert message == (
        "margins: found none in the model, wanted a model that has some; measure them: masu evaluate MODEL DATA "
        "--split val --store-margins 0.9"
    )
    build_module.store_thresholds(path, {"red cell": 0.25})
    build_module.store_margins(path, {"red cell": 0.1})
    loaded = load(path)
    assert (loaded.thresholds, loaded.margins) == ({"red cell": 0.25}, {"red cell": 0.1})
    assert data_of(path) == data_of(saved)
    save(loaded, tmp_path / "again.safetensors")
    assert load(tmp_path / "again.safetensors").margins == {"red cell": 0.1}
    build_module.store_thresholds(path, {"red cell": 0.3})  # other boxes, of which nothing was promised
    assert load(path).margins == {}
    assert "margin of class 'Red cell': found no such class" in message_of(
        build_module.store_margins, path, {"Red cell": 0.5}
    )


def test_a_link_to_a_model_stays_a_link(saved, tmp_path):
    path, link = tmp_path / "model.safetensors", tmp_path / "link.safetensors"
    path.write_bytes(saved.read_bytes())
    link.symlink_to(path)
    build_module.store_thresholds(link, {"red cell": 0.25})
    assert link.is_symlink()
    assert load(path).thresholds == {"red cell": 0.25}


def test_thresholds_that_cannot_be_stored_leave_the_file_whole(saved, tmp_path, monkeypatch):
    before = saved.read_bytes()
    message = message_of(build_module.store_thresholds, saved, {"Red cell": 0.5})
    assert (
        message
        == "threshold of class 'Red cell': found no such class, wanted one of red cell, white cell, plättchen"
    )
    message = message_of(build_module.store_thresholds, saved, {"red cell": 7})
    assert message == "threshold of class 'red cell': found 7, wanted a score from 0 to 1"
    message = message_of(build_module.store_thresholds, tmp_path / "none", {})
    assert message.endswith(f"found no such file, {WANTED}")

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="disk full"):
        build_module.store_thresholds(saved, {"red cell": 0.5})
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


@pytest.mark.parametrize("text", ["3", "[1]", '{"cow": 0.5}', '{"red cell": "x"}', "nonsense"])
def test_thresholds_that_nobody_stored(saved, tmp_path, text):
    assert "found settings that masu" in message_of(load, rewritten(saved, tmp_path, thresholds=text))


def test_prediction_with_thresholds_of_classes(detector, image):
    everything = detector.predict([image])[0]
    assert len(set(everything.names)) > 1
    some = everything.names[0]
    highest = float(everything.scores[0])
    kept = detector.predict([image], threshold={name: 0.0 if name == some else 1.0 for name in NAMES})[0]
    assert kept.names == tuple(name for name in everything.names if name == some)
    assert len(detector.predict([image], threshold={some: highest})[0]) >= 1
    with pytest.raises(InputError, match="threshold of class 'cow': found no such class"):
        detector.predict([image], threshold={"cow": 0.5})
    with pytest.raises(InputError, match="threshold: found 5, wanted a score from 0 to 1"):
        detector.predict([image], threshold=5)
