"""Model files that nobody's masu wrote: each is refused in one line, or is a detector that predicts."""

import copy
import json
import math
import os
import random
import resource
import socket
import time
from dataclasses import replace

import pytest
import safetensors.torch
import torch

import masu
from masu.detectors.cascade_rcnn import CascadeRCNNConfig
from masu.detectors.faster_rcnn import FasterRCNNConfig
from masu.detectors.fcos import FCOSConfig
from masu.detectors.model_file import _described, load, save, store_thresholds
from masu.detectors.retinanet import RetinaNetConfig
from masu.detectors.rois import RoISettings
from masu.detectors.rpn import ProposalSettings, RPNConfig
from masu.detectors.zoo import make
from masu.errors import InputError, bad_input
from masu.nets.backbones import Stages
from masu.ops.images import InputPolicy

PYRAMID = {"backbone": "timm/test_efficientnet", "from_stride": 8, "fpn_channels": 32}
INPUT = {"input": InputPolicy(64, 96)}
ANCHORS = {"anchor_sizes": ((16.0,), (32.0,), (64.0,), (96.0,))}
POINTS = {"anchor_sizes": ((8.0,), (16.0,), (32.0,), (64.0,))}
FEW = {"head_depth": 1, "pre_nms_top_n": 50}
PROPOSALS = RPNConfig(
    **PYRAMID, **INPUT, **ANCHORS, proposals=ProposalSettings(pre_nms_top_n=50, post_nms_top_n=20)
)
ROIS = RoISettings(strides=(8, 16, 32), hidden=(16,), cells=3)
CONFIGS = {
    "RPN": PROPOSALS,
    "FasterRCNN": FasterRCNNConfig(PROPOSALS, ROIS),
    "CascadeRCNN": CascadeRCNNConfig(PROPOSALS, ROIS),
    "RetinaNet": RetinaNetConfig(**PYRAMID, **INPUT, **ANCHORS, **FEW),
    "FCOS": FCOSConfig(**PYRAMID | {"fpn_channels": 64}, **INPUT, **POINTS, **FEW),
}
IMAGE = torch.randint(0, 256, (3, 60, 80), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)

DEEP = json.loads("[" * 200 + "]" * 200)
ALTERED = (math.inf, -math.inf, math.nan, -1, 0, 1, 10**9, 10**30, 0.5, 1e300, "", "x", "1", [], [[]], {})
ALTERED += (None, True, [1, [2, [3]]], {"a": {"b": 1}}, DEEP, [1.0] * 5000)
"""What every value of a configuration is replaced by."""

TRIED = set()
"""Settings that a kind of detector has predicted with, at the first value that is allowed: of those that kinds
share, one does."""


@pytest.fixture(scope="module", params=CONFIGS)
def model(request, tmp_path_factory):
    """Metadata and tensors of a model file of each kind, and a place for altered ones."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save(make(CONFIGS[request.param], ["cat", "dog"]).eval(), path)
    return Model(path)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "model.safetensors"
    save(make(CONFIGS["FasterRCNN"], ["cat", "dog"]).eval(), path)
    return Model(path)


class Model:
    def __init__(self, path):
        self.path = path
        with safetensors.safe_open(path, framework="pt") as file:
            self.metadata = file.metadata()
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    @property
    def config(self):
        return json.loads(self.metadata["config"])

    def written(self, metadata=(), tensors=()):
        """The file with other entries; None removes one."""
        metadata, tensors = self.metadata | dict(metadata), self.tensors | dict(tensors)
        path = self.path.with_name("altered.safetensors")
        path.write_bytes(
            safetensors.torch.save(
                {name: t for name, t in tensors.items() if t is not None},
                {name: text for name, text in metadata.items() if text is not None},
            )
        )
        return path


def refused(function, *arguments):
    with pytest.raises(InputError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 1200
    return message


def unless_refused(function, *arguments):
    """What a function answers; None where it refuses in one line."""
    try:
        return function(*arguments)
    except InputError as error:
        said = str(error)
    assert said.isprintable()
    return None


def places(value, at=()):
    """Where a configuration has values: settings, groups of them, entries of lists."""
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*at, key))


def with_other(config, at, value):
    config = copy.deepcopy(config)
    group = config
    for key in at[:-1]:
        group = group[key]
    group[at[-1]] = value
    return config


def test_every_altered_setting_is_refused_or_predicts(model):
    config, start = model.config, time.process_time()
    kept, refusals = {}, 0
    for at in places(config):
        if at[0] == "rpn" and len(at) > 1:
            continue  # the same class as that of the kind RPN
        for value in ALTERED:
            other = with_other(config, at, value)
            metadata = model.metadata | {"config": json.dumps(other)}
            described = unless_refused(_described, metadata, model.path)
            refusals += described is None
            if described is not None and described.config != CONFIGS[metadata["type"]]:
                kept.setdefault(tuple(key for key in at if isinstance(key, str))[-2:], metadata)
    assert refusals > 10 * len(kept) > 0
    new = kept.keys() - TRIED
    TRIED.update(new)
    for at in new:
        metadata = kept[at]
        detector = unless_refused(load, model.written(metadata))
        assert detector is None or detector.predict([IMAGE])[0].boxes.isfinite().all(), at
    assert time.process_time() - start < 120
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 3e6  # kB


def test_sizes_beyond_the_weights_allocate_nothing(one):
    """4 GB of weights by the settings, a megabyte in the file."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    config = one.config
    config["rois"] |= {"hidden": [65_536, 16_384]}
    message = refused(load, one.written({"config": json.dumps(config)}))
    assert (
        "found (16, 288) for box_head.linears.0.weight, wanted (65536, 288); these are weights of" in message
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_a_hundred_thousand_names_take_a_second(one):
    start = time.process_time()
    names = [f"class {i}" for i in range(100_000)]
    thresholds = {"thresholds": json.dumps(dict.fromkeys(names, 0.5))}
    assert "these are weights of another" in refused(
        load, one.written({"names": json.dumps(names)} | thresholds)
    )
    assert "found 'class 7' more than once" in refused(
        load, one.written({"names": json.dumps([*names, "class 7"])})
    )
    assert time.process_time() - start < 20


def test_a_model_of_many_classes_opens(tmp_path):
    names = [f"class {i}" for i in range(20_000)]
    detector = make(CONFIGS["FasterRCNN"], names)
    detector.thresholds = dict.fromkeys(names, 0.25)
    start = time.process_time()
    save(detector, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").names == tuple(names)
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("config", "[" * 100_000),
        ("config", '{"rpn": ' + "9" * 5000 + "}"),
        ("names", "[" * 100_000),
        ("names", '"cat"'),
        ("names", '["cat", 3]'),
        ("names", "[]"),
        ("names", '{"cat": 1}'),
        ("thresholds", '{"cat": NaN}'),
        ("thresholds", '{"cat": 1e999}'),
        ("thresholds", '{"cat": true}'),
        ("thresholds", '{"cat": [0.5]}'),
        ("thresholds", '{"cow": 0.5}'),
        ("margins", '{"cat": -0.1}'),
        ("margins", '{"cat": 1e999}'),
        ("margins", '{"cow": 0.5}'),
        ("margins", "[0.5]"),
        ("trained_on", '{"data": 3}'),
        ("trained_on", '["data"]'),
        ("trained_on", '{"data": {"a": NaN}}'),
        ("trained_on", json.dumps({"data": "x" * 20_000})),
        ("type", "FasterRCNN\nerror: all is well"),
    ],
)
def test_an_entry_that_is_none_is_named(one, entry, text):
    path = one.written({entry: text, "version": "9.9\n\x1b[31mred"})
    message = refused(load, path)
    assert message.startswith(
        f"{path}: found settings that masu {masu.__version__} does not know ({entry.removesuffix('s')}"
    )
    assert "written by masu 9.9 \\x1b[31mred; wanted" in message


def test_later_settings_are_named_with_the_version_that_wrote_them(one):
    config = one.config
    config["rpn"]["input"]["colours"] = config["rois"]["soft"] = config["best"] = 1
    message = refused(load, one.written({"config": json.dumps(config), "version": "9.9"}))
    assert "(unknown settings 'rpn.input.colours', 'rois.soft', 'best'), written by masu 9.9;" in message


@pytest.mark.parametrize(
    "name",
    [
        "hf-hub:timm/resnet18.a1_in1k",
        "hf_hub:timm/resnet18",
        "HF-HUB:a/b",
        "local-dir:/etc",
        "local-dir:.",
        "../x",
    ],
)
def test_a_backbone_from_a_hub_or_folder_is_never_asked_for(one, name, monkeypatch):
    def touched(*arguments, **options):
        raise AssertionError(arguments)

    config = one.config
    config["rpn"]["backbone"] = f"timm/{name}"
    path = one.written({"config": json.dumps(config)})
    with monkeypatch.context() as patch:
        for place in ("socket", "create_connection", "getaddrinfo"):
            patch.setattr(socket, place, touched)
        for place in ("load_model_config_from_hf", "load_model_config_from_path"):
            patch.setattr(f"timm.models._factory.{place}", touched)
        message = refused(load, path)
        assert f"backbone: found 'timm/{name}' (no plain name; hubs and folders are never asked)" in message
        with pytest.raises(InputError, match="no plain name"):
            masu.build(RPNConfig(f"timm/{name}"), [], "imagenet")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_counted_and_named(one, value, tmp_path):
    weight = one.tensors["predictor.scores.weight"].clone()
    weight[0, :3] = value
    path = one.written(tensors={"predictor.scores.weight": weight})
    found = "found 3 of 48 numbers of predictor.scores.weight that are not finite, wanted finite weights; "
    assert refused(load, path).startswith(f"{path}: {found}")
    detector = load(one.path)
    detector.load_state_dict({"predictor.scores.weight": weight}, strict=False)
    out = tmp_path / "model.safetensors"
    out.write_bytes(b"earlier")
    assert refused(save, detector, out).startswith(f"{out}: {found}")
    assert out.read_bytes() == b"earlier"


def test_numbers_beyond_float32_are_not_finite(one):
    big = one.tensors["rpn.fpn.lateral.0.0.bias"].double() + 1e300
    path = one.written(tensors={"rpn.fpn.lateral.0.0.bias": big})
    assert "found 32 of 32 numbers of rpn.fpn.lateral.0.0.bias that are not finite" in refused(load, path)


def test_negative_variances_are_named(one):
    name = next(name for name in one.tensors if name.endswith("running_var"))
    path = one.written(tensors={name: one.tensors[name] - 2})
    assert f"numbers of {name} below 0, which no variance is, wanted finite weights" in refused(load, path)


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.uint8, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn]
)
def test_weights_of_another_type_are_named(one, dtype):
    name = "predictor.deltas.bias"
    message = refused(load, one.written(tensors={name: one.tensors[name].to(dtype)}))
    assert f" for {name}, wanted float32 or float64 or float16 or bfloat16; " in message or (
        f"a description of {name!r} that cannot be understood (numbers of type 'F8_E4M3')" in message
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_another_precision_are_computed_with_in_float32(one, dtype):
    path = one.written(
        tensors={name: t.to(dtype) for name, t in one.tensors.items() if t.is_floating_point()}
    )
    detector = load(path)
    assert {t.dtype for t in detector.parameters()} == {torch.float32}
    name = "box_head.linears.0.weight"
    assert torch.equal(detector.state_dict()[name], one.tensors[name].to(dtype).float())
    assert detector.predict([IMAGE])[0].boxes.dtype == torch.float32


@pytest.mark.parametrize(
    "counter", [torch.zeros(3, dtype=torch.int64), torch.tensor(0.0), torch.zeros(1, dtype=torch.int64)]
)
def test_a_counter_of_another_shape_is_named(one, counter):
    name = next(name for name in one.tensors if name.endswith("num_batches_tracked"))
    assert f" for {name}, wanted " in refused(load, one.written(tensors={name: counter}))
    assert " for made.up.num_batches_tracked, wanted nothing" in refused(
        load, one.written(tensors={"made.up.num_batches_tracked": torch.tensor(0)})
    )


def test_a_counter_may_be_missing(one):
    name = next(name for name in one.tensors if name.endswith("num_batches_tracked"))
    load(one.written(tensors={name: None}))


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("thresholds", {"cow": 0.5}),
        ("thresholds", {"cat": math.nan}),
        ("margins", {"cat": math.inf}),
        ("trained_on", {"data": math.nan}),
        ("trained_on", {"data": 3}),
    ],
)
def test_what_would_not_open_again_is_not_saved(one, tmp_path, entry, value):
    detector = load(one.path)
    setattr(detector, entry, value)
    assert entry.removesuffix("s") in refused(save, detector, tmp_path / "model.safetensors")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("value", [-1, True, "256", math.nan, 10**9, None, [256]])
def test_settings_from_python_follow_the_same_schema(value):
    with pytest.raises(InputError, match=r"^fpn_channels: found .*, wanted a whole number from 1 to 4096$"):
        RPNConfig("resnet50", fpn_channels=value)


def test_lists_and_whole_numbers_of_python_are_brought_to_their_types():
    config = RPNConfig("resnet50", anchor_sizes=[[32], [64], [128], [256], [512]])
    assert config == RPNConfig("resnet50")
    assert config.anchor_sizes[0] == (32.0,)


def test_a_folder_whose_name_is_no_text(one, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    detector = load(one.path)
    save(detector, folder / "model.safetensors")
    store_thresholds(folder / "model.safetensors", {"cat": 0.25})
    again = load(folder / "model.safetensors")
    assert again.thresholds == {"cat": 0.25}
    assert torch.equal(again.predict([IMAGE])[0].boxes, detector.predict([IMAGE])[0].boxes)


def test_bytes_changed_anywhere_in_the_header_are_refused_or_load(one):
    whole, draw = one.path.read_bytes(), random.Random(0)
    path = one.path.with_name("altered.safetensors")
    length = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(length)
            kind = draw.randrange(3)
            if kind == 0:
                data[place] = draw.randrange(256)
            elif kind == 1:
                data[place : place + draw.randint(1, 50)] = b""
            else:
                data[place:place] = draw.choice([b"9" * 30, b"[" * 3000, b"NaN", b'"', b"\x00", b"-1", b"{}"])
        path.write_bytes(data)
        unless_refused(load, path)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"dtype": "F32", "shape": [2**61, 8], "data_offsets": [0, 8]}, "cannot be understood"),
        ({"dtype": "F32", "shape": [0, 2**61, 2**61], "data_offsets": [0, 0]}, "cannot be understood"),
        ({"dtype": "F32", "shape": [-1], "data_offsets": [0, 8]}, "cannot be understood"),
        ({"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}, "cannot be understood"),
        ({"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}, "cannot be understood"),
        ({"dtype": "F32", "shape": "22", "data_offsets": [0, 8]}, "cannot be understood"),
        ({"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}, "cannot be understood"),
        ({"dtype": "F32", "shape": [2]}, "cannot be understood"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}, "cannot be understood"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}, "do not follow those before"),
        (
            {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            "8 bytes of tensors where its header says 4",
        ),
        (None, "cannot be understood"),
        (3, "cannot be understood"),
    ],
)
def test_a_tensor_that_is_described_wrongly_is_named(tmp_path, entry, why):
    header = json.dumps({"__metadata__": {"format": "masu-1"}, "a": entry}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    message = refused(load, path)
    assert message.startswith(f"{path}: found a file that is no safetensors (")
    assert why in message


def test_stages_that_the_network_cannot_freeze_are_named_with_the_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save(make(replace(PROPOSALS, frozen_stride=8), ()).eval(), path)

    def refuse(self, stride):
        if stride:
            raise bad_input("frozen stride", f"{stride}", "0", "freeze nothing")

    monkeypatch.setattr(Stages, "freeze_to_stride", refuse)
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load(path)
