"""masu export: one file, compared with the detector before it is kept; detect and evaluate with it."""

import concurrent.futures
import contextlib
import io
import json
import logging
import os
import resource
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner

import masu
from masu import InputError, read_dataset
from masu.atomic import WriteError
from masu.cli import cli
from masu.exports import agreement
from masu.exports import write as writing
from masu.exports.exported import ExportedDetector, open_detector
from masu.exports.quantize import quantize
from masu.exports.write import SUFFIXES, describe
from masu.runtime import ENTRY
from masu.seal import BLANK, CHECKSUM
from masu.terminal import print_export
from masu.verbs import export as exporting
from masu.verbs.export import export


@pytest.fixture
def quick(monkeypatch, traced, onnx_file):
    """Traces and converts nothing anew: the session's ONNX file under the description that is asked for."""

    def write_onnx(program, text, file):
        model = onnx.load(onnx_file)
        onnx.helper.set_model_props(model, {ENTRY: text, CHECKSUM: BLANK})
        onnx.save(model, file)

    monkeypatch.setattr(exporting, "trace", lambda _: traced)
    monkeypatch.setattr(writing, "_write_onnx", write_onnx)


@pytest.fixture(scope="module")
def model_file(small, tmp_path_factory):
    file = tmp_path_factory.mktemp("model") / "small.safetensors"
    masu.save(small, file)
    return file


@pytest.mark.parametrize("to", ["onnx", "openvino", "torch"])
def test_every_format_is_compared_and_kept(small, quick, tmp_path, to):
    file = tmp_path / "new" / f"small{writing.SUFFIXES[to]}"
    report = export(small, file, to=to)
    assert report.bytes > 1e7
    assert sorted(f.name for f in file.parent.iterdir()) == (
        ["small.bin", "small.xml"] if to == "openvino" else [file.name]
    )
    assert report.bytes == sum(f.stat().st_size for f in file.parent.iterdir())
    assert [check.shape for check in report.checks] == list(exporting.SHAPES)
    assert report.agreement.images == 9
    assert report.agreement.detections > 200
    assert report.agreement.unmatched == 0
    assert report.agreement.pixels < 0.5
    opened = open_detector(file, trust_code=True)
    assert (opened.names, opened.kind) == (("cat", "dog", "hen"), "detector")


def test_a_file_that_cannot_be_run_is_not_kept(small, quick, tmp_path, monkeypatch):
    def fail(self, images, **options):
        raise RuntimeError("Concat: dimensions differ\nat node 3")

    monkeypatch.setattr(ExportedDetector, "predict", fail)
    with pytest.raises(InputError) as error:
        export(small, tmp_path / "a.onnx")
    assert "cannot run at 1 image of 300×500 (Concat: dimensions differ at node 3), wanted one that" in str(
        error.value
    )
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_looks_like_a_pattern(small, quick, tmp_path):
    report = export(small, tmp_path / "[v1] m*.onnx")
    assert [f.name for f in tmp_path.iterdir()] == ["[v1] m*.onnx"]
    assert report.bytes == report.file.stat().st_size > 1e7


def test_a_file_that_differs_is_not_kept(small, quick, tmp_path, monkeypatch):
    good = ExportedDetector.predict

    def shifted(self, images, **options):
        return [
            masu.Detections(d.boxes + 3, d.scores, d.labels, d.names) for d in good(self, images, **options)
        ]

    monkeypatch.setattr(ExportedDetector, "predict", shifted)
    (tmp_path / "small.onnx").write_bytes(b"older")
    with pytest.raises(
        InputError, match=r"[1-9]\d* differences, \d+ near-ties and \d+ equals among .* at 1 image of 300×500"
    ):
        export(small, tmp_path / "small.onnx")
    assert [f.name for f in tmp_path.iterdir()] == ["small.onnx"]
    assert (tmp_path / "small.onnx").read_bytes() == b"older"


@pytest.fixture
def swapped(monkeypatch):
    """Files answer with up to 9 wide boxes an image moved by 0.6 px: what suppression could have chosen."""
    good = ExportedDetector.predict

    def predict(self, images, **options):
        answers = good(self, images, **options)
        for answer in answers:
            wide = torch.where((answer.boxes[:, 2:] - answer.boxes[:, :2]).amin(1) > 12)[0]
            answer.boxes[wide[:9], 2] += 0.6
        return answers

    monkeypatch.setattr(ExportedDetector, "predict", predict)


def test_near_ties_alone_are_a_warning(small, quick, swapped, tmp_path):
    said = []
    report = export(small, tmp_path / "a.onnx", report=said.append)
    agreed = report.agreement
    assert agreed.unmatched == 0
    assert agreed.near_ties > 0.05 * 2 * agreed.detections
    assert report.as_dict()["agreement"]["near_ties"] == agreed.near_ties
    assert [line for line in said if line.startswith("warning: ")] == [
        f"warning: {agreed.near_ties} near-ties among {agreed.detections} detections: where two candidates are "
        "equal but for rounding, the file may choose the other one"
    ]
    assert (tmp_path / "a.onnx").exists()


def test_the_warning_is_on_standard_error(model_file, quick, swapped, tmp_path):
    done = CliRunner().invoke(cli, ["export", str(model_file), "--out", str(tmp_path / "a.onnx"), "--json"])
    assert done.exit_code == 0, done.output
    near_ties = json.loads(done.stdout)["agreement"]["near_ties"]
    assert near_ties > 0
    assert f"masu: warning: {near_ties} near-ties among " in done.stderr


def test_answers_with_nothing_in_common_are_refused(small, quick, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "agreement_of", lambda *_: agreement.Agreement(1, 9, 0, 0.0, 0.0, 18, 0))
    with pytest.raises(InputError) as error:
        export(small, tmp_path / "a.onnx")
    assert "found 0 differences, 18 near-ties and 0 equals among 9 detections" in str(error.value)
    assert "wanted no difference, and near-ties beside equals only; no file" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_the_detector_is_left_as_it_was(quick, small, tmp_path, monkeypatch):
    detector = masu.build(small.config, small.names, "none")
    detector.load_state_dict(small.state_dict())
    detector.train().rpn.backbone.eval()
    before = {name: module.training for name, module in detector.named_modules()}
    state = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    assert len(set(before.values())) == 2
    own, moved, move = set(detector.modules()), [], torch.nn.Module._apply

    def watched(module, *args, **options):  # what every change of device or type goes through
        moved.append(module)
        return move(module, *args, **options)

    monkeypatch.setattr(torch.nn.Module, "_apply", watched)
    export(detector, tmp_path / "a.onnx")
    assert {name: module.training for name, module in detector.named_modules()} == before
    assert moved
    assert not own.intersection(moved)
    for name, tensor in detector.state_dict().items():
        assert torch.equal(tensor, state.pop(name)), name
    assert not state


@pytest.mark.parametrize(("of_itself", "near_ties", "unmatched"), [((0, 2, 1), 3, 0), ((0, 1, 1), 1, 2)])
def test_differences_that_the_detector_has_to_itself_are_near_ties(
    small, monkeypatch, of_itself, near_ties, unmatched
):
    answers = iter(agreement.Agreement(1, 9, 8, 0.1, 1e-4, 1, n) for n in (2, *of_itself))
    images = []

    class Seen:
        def predict(self, batch, batch_size):
            images.append(batch[0])
            return [small.predict(batch)[0]]

    monkeypatch.setattr(exporting, "agreement_of", lambda *_: next(answers))
    photograph = torch.full((3, 64, 48), 100, dtype=torch.uint8)
    checked = exporting._check(small, Seen(), Seen(), [photograph], (1, 64, 48), explain=True)
    assert (checked.agreement.near_ties, checked.agreement.unmatched) == (near_ties, unmatched)
    assert next(answers, None) is None
    for moved in images[2:]:
        away = (moved * 255 - 100).double()
        assert 0.003 < away.std() < 0.005


def test_ap_against_ap(small, quick, coins, tmp_path):
    small_coins = masu.build(small.config, ["cat", "dog", "coin"], "none")
    small_coins.load_state_dict(small.state_dict())
    data = read_dataset(coins, "val", names=small_coins.names)
    shown = []

    @contextlib.contextmanager
    def counter(title):
        yield lambda done, total: shown.append((title, done, total))

    report = export(small_coins.eval(), tmp_path / "a.onnx", data=data, counter=counter)
    assert shown == [
        *(("comparing", n, len(exporting.SHAPES)) for n in range(1, len(exporting.SHAPES) + 1)),
        *[("evaluating", n, 2) for n in (1, 2)] * 2,
    ]
    assert report.ap is not None
    assert report.ap[0] == pytest.approx(report.ap[1], abs=1e-3)
    with pytest.raises(InputError, match="wanted a loss of at most -1 "):
        export(small_coins, tmp_path / "b.onnx", data=data, max_ap_loss=-1)
    assert not (tmp_path / "b.onnx").exists()


def test_eight_bits(small, quick, coins, tmp_path):
    names = (*small.names[:2], "coin")
    detector = masu.build(small.config, names, "none")
    detector.load_state_dict(small.state_dict())
    train, val = (read_dataset(coins, split, names=names) for split in ("train", "val"))
    report = export(detector.eval(), tmp_path / "single.onnx", data=val, int8=train, max_ap_loss=1)
    assert (report.int8, report.spared) == (True, 0)
    assert report.bytes < 0.5 * sum(p.numel() * 4 for p in detector.parameters())
    kinds = {node.op_type for node in onnx.load(tmp_path / "single.onnx").graph.node}
    assert {"QuantizeLinear", "NonMaxSuppression", "RoiAlign"} <= kinds
    assert [f.name for f in tmp_path.iterdir() if f.name.startswith(("s", "."))] == ["single.onnx"]


def test_the_first_convolutions_are_spared_and_the_others_not(onnx_file, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (1, 90, 120, 3), np.uint8)
    quantize(onnx_file, [image], tmp_path / "a.onnx", 8)
    names = [node.name for node in onnx.load(onnx_file).graph.node if node.op_type == "Conv"]
    graph = onnx.load(tmp_path / "a.onnx").graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    weights = {node.name: made_by.get(node.input[1]) for node in graph.node if node.op_type == "Conv"}
    assert weights.keys() == set(names)
    assert {name for name, made in weights.items() if made != "DequantizeLinear"} == set(names[:8])


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("level", [logging.NOTSET, logging.DEBUG, logging.ERROR])
def test_the_root_logger_is_left_as_it_was(onnx_file, tmp_path, monkeypatch, capfd, level, fails):
    def quantize_static(file, out, *args, **options):
        logging.info("some progress")
        print("more of it")
        if fails:
            raise MemoryError
        out.write_bytes(file.read_bytes())

    monkeypatch.setattr("onnxruntime.quantization.quantize_static", quantize_static)
    monkeypatch.setattr(
        "onnxruntime.quantization.shape_inference.quant_pre_process",
        lambda file, out, **options: out.write_bytes(file.read_bytes()),
    )
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", level)
    with pytest.raises(MemoryError) if fails else contextlib.nullcontext():
        quantize(onnx_file, [], tmp_path / "a.onnx", 0)
    assert root.level == level
    assert root.handlers == []
    assert capfd.readouterr() == ("", "")


def test_eight_bits_that_lose_too_much_are_refused_after_every_try(
    small, quick, coins, tmp_path, monkeypatch
):
    detector = masu.build(small.config, (*small.names[:2], "coin"), "none")
    detector.load_state_dict(small.state_dict())
    train, val = (read_dataset(coins, split, names=detector.names) for split in ("train", "val"))
    tried = []
    monkeypatch.setattr(
        exporting,
        "quantize",
        lambda single, images, out, spared: (tried.append(spared), out.write_bytes(single.read_bytes())),
    )
    with pytest.raises(InputError, match="wanted a loss of at most -1 "):
        export(detector.eval(), tmp_path / "a.onnx", data=val, int8=train, max_ap_loss=-1)
    assert tried == [0, 8, 16]
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.parametrize(
    ("to", "with_data", "found"), [("openvino", True, "--to openvino"), ("onnx", False, "no --data")]
)
def test_eight_bits_need_data_and_onnx(small, coins, tmp_path, to, with_data, found):
    data = read_dataset(coins, "val", names=("coin",))
    with pytest.raises(InputError) as error:
        export(
            small, tmp_path / f"a{writing.SUFFIXES[to]}", to=to, data=data if with_data else None, int8=data
        )
    assert f"--int8: found {found}, wanted --to onnx and --data" in str(error.value)


@pytest.mark.parametrize("option", [["--split", "val"], ["--format", "coco"]])
def test_options_about_data_need_data(model_file, option):
    done = CliRunner().invoke(cli, ["export", str(model_file), *option])
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == (
        f"{option[0]}: found without --data, to which it belongs, wanted both or neither; leave {option[0]} out"
    )


@pytest.mark.parametrize(
    ("to", "name", "said"),
    [
        ("coreml", "a.onnx", "--to: found 'coreml', wanted one of onnx, openvino, torch, tflite, ncnn"),
        ("onnx", "a.bin", "found the suffix '.bin', wanted .onnx for --to onnx; rename it"),
    ],
)
def test_what_cannot_be_written(small, tmp_path, to, name, said):
    with pytest.raises(InputError) as error:
        export(small, tmp_path / name, to=to)
    assert said in str(error.value)


def test_missing_packages_are_named_before_the_network_is_traced(small, tmp_path, monkeypatch):
    for name in ("onnxscript", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    said = []
    with pytest.raises(InputError) as error:
        export(small, tmp_path / "a.xml", to="openvino", report=said.append)
    assert str(error.value) == (
        "--to openvino: found no package onnxscript and no package openvino, wanted them; "
        'pip install "masu[export,openvino]"'
    )
    assert (error.value.code, said) == ("missing-package", [])


def test_detect_and_evaluate_take_the_file(model_file, onnx_file, coins):
    runner = CliRunner()
    texts = []
    for model in (model_file, onnx_file):
        done = runner.invoke(cli, ["detect", str(model), str(coins / "images" / "val"), "--threshold", "0.3"])
        assert done.exit_code == 0, done.output
        texts.append(json.loads(done.stdout))
    assert [len(row["detections"]) for row in texts[0]] == [len(row["detections"]) for row in texts[1]]
    assert sum(len(row["detections"]) for row in texts[0]) > 0


def test_float_pictures_and_thresholds(small, onnx_file):
    exported = ExportedDetector(onnx_file)
    image = torch.randint(0, 256, (3, 90, 120), dtype=torch.uint8)
    a = exported.predict([image, image / 255], threshold=0.2)
    torch.testing.assert_close(a[0].boxes, a[1].boxes)
    assert all(score >= 0.2 for score in a[0].scores.tolist())


def test_a_program_that_is_none(tmp_path):
    (tmp_path / "a.pt2").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="found a file that is no program"):
        open_detector(tmp_path / "a.pt2", trust_code=True)
    with pytest.raises(InputError, match="found no such file"):
        open_detector(tmp_path / "b.pt2", trust_code=True)
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),)), tmp_path / "c.pt2")
    with pytest.raises(InputError, match=r"c\.pt2: found a model without masu's description"):
        open_detector(tmp_path / "c.pt2", trust_code=True)


@pytest.mark.skipif(sys.platform == "win32", reason="a system without such limits")
@pytest.mark.parametrize("to", ["openvino", "torch"])
def test_a_disk_that_is_full_is_one_line(small, traced, onnx_file, tmp_path, monkeypatch, to):
    """While files may have a megabyte, a tenth of what is written."""
    file = tmp_path / f"a{SUFFIXES[to]}"
    monkeypatch.setattr(writing, "_write_onnx", lambda program, text, out: os.link(onnx_file, out))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(WriteError) as error:
            writing.write(traced, describe(small), to, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(error.value).startswith(f"{file}: found ")


class Witness:
    """Unpickled, it writes a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return exec, (f"open({str(self.file)!r}, 'w').close()",)


@pytest.mark.parametrize("entry", ["weights", "sample inputs", "constants"])
def test_a_program_runs_no_code_unless_it_is_trusted(coins, tmp_path, entry):
    """A pickle in the place of every entry that holds one: none is opened."""
    plain, crafted, proof = (tmp_path / name for name in ("plain.pt2", "a.pt2", "proof"))
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),)), plain)
    pickled = io.BytesIO()
    torch.save(Witness(proof), pickled)
    folders = {"weights": "weights/", "sample inputs": "sample_inputs/", "constants": "constants/"}
    with zipfile.ZipFile(plain) as given, zipfile.ZipFile(crafted, "w") as made:
        for name in given.namelist():
            of_entry = folders[entry] in name and not name.endswith(".json")
            made.writestr(name, pickled.getvalue() if of_entry else given.read(name))
        made.writestr(f"plain/data/{folders[entry]}more.pt", pickled.getvalue())
    with pytest.raises(
        InputError, match=r"which can run any code .* wanted a file that cannot: \.safetensors"
    ):
        open_detector(crafted)
    for verb in ("detect", "evaluate", "explain"):
        done = CliRunner().invoke(cli, [verb, str(crafted), str(coins)])
        assert isinstance(done.exception, InputError), (verb, done.output)
    assert not proof.exists()


def test_an_unreadable_program_is_one_line(tmp_path, capfd):
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),)), tmp_path / "a.pt2")
    with zipfile.ZipFile(tmp_path / "a.pt2") as given, zipfile.ZipFile(tmp_path / "b.pt2", "w") as made:
        for name in given.namelist():
            made.writestr(name, b"{}" if name.endswith("model.json") else given.read(name))
    with pytest.raises(InputError, match=r"b\.pt2: found a program that cannot be read"):
        open_detector(tmp_path / "b.pt2", trust_code=True)
    assert capfd.readouterr() == ("", "")


def test_what_is_printed(capsys):
    nothing = exporting.Checked((1, 300, 500), agreement.Agreement(1, 0, 0, 0.0, 0.0, 0, 0), 0.1, 0.02)
    some = exporting.Checked((2, 427, 640), agreement.Agreement(2, 31, 31, 0.00012, 3e-6, 0, 0), 0.2, 0.1)
    for check, said in (
        (nothing, "nothing found by either, which proves little"),
        (some, "the same detections"),
    ):
        report = exporting.ExportReport(Path("a.onnx"), "onnx", 19_000_000, (check,), None, False, 0, 31.2)
        print_export(report)
        lines = capsys.readouterr().out.splitlines()
        assert lines[-1] == f"a.onnx, 19.0 MB, {said}; 31 s"
        assert "…" not in "".join(lines)


def test_a_program_called_from_eight_threads_finds_what_one_finds(small, traced, tmp_path):
    writing.write(traced, describe(small), "torch", tmp_path / "a.pt2")
    opened = ExportedDetector(tmp_path / "a.pt2", trust_code=True)
    images = [torch.randint(0, 256, (3, 60 + 9 * i, 150 - 7 * i), dtype=torch.uint8) for i in range(8)]
    wanted = [opened.predict([image])[0] for image in images]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda image: opened.predict([image])[0], images * 2))
    for one, other in zip(found, wanted * 2, strict=True):
        assert torch.equal(one.boxes, other.boxes)
        assert torch.equal(one.scores, other.scores)


def test_data_at_a_path_is_of_the_split_to_measure_on(small, coins, tmp_path, monkeypatch):
    class EnoughError(Exception):
        pass

    def seen(detector, data):
        looked.append(data)
        raise EnoughError

    looked = []
    monkeypatch.setattr("masu.verbs.export._pictures", seen)
    for given in ({}, {"split": "train"}):
        with pytest.raises(EnoughError):
            masu.export(small, str(tmp_path / "a.onnx"), data=str(coins), **given)
    assert [(data.split, len(data)) for data in looked] == [("val", 2), ("train", 4)]
    with pytest.raises(TypeError, match=r"^export: found int8=True beside a Dataset, wanted the images"):
        masu.export(small, tmp_path / "a.onnx", data=looked[0], int8=True)
    with pytest.raises(TypeError, match=r"^export: found the path a\.safetensors, wanted a detector; "):
        masu.export("a.safetensors", tmp_path / "a.onnx")
