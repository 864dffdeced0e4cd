"""masu.runtime: the same answers without PyTorch; its errors."""

import concurrent.futures
import ctypes
import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

import masu
from masu import InputError
from masu.detectors.margins import enlarged
from masu.exports.agreement import agreement_of
from masu.exports.exported import open_detector
from masu.exports.write import describe
from masu.records import Detections
from masu.runtime import Description, Model, _main, check_answer
from masu.seal import BLANK, CHECKSUM, seal


@pytest.fixture(scope="module")
def photographs():
    return [image[::2, ::2].copy() for image in load_sample_images().images]


def as_detections(found):
    return [Detections(f.boxes, f.scores, f.labels, f.names) for f in found]


def agreement(detector, wanted, found):
    return agreement_of(detector, wanted, as_detections(found))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("count", "height", "width"), [(1, 200, 300), (3, 130, 310), (2, 64, 48), (1, 320, 320)]
)
def test_the_same_detections_at_any_batch_and_size(
    small, onnx_file, photographs, engine, count, height, width
):
    images = [
        np.ascontiguousarray(np.resize(photographs[i % 2][: min(height, 213)], (height, width, 3)))
        for i in range(count)
    ]
    wanted = small.predict([torch.from_numpy(i).permute(2, 0, 1) for i in images], batch_size=count)
    agreed = agreement(small, wanted, Model(onnx_file, engine).predict(images, batch_size=count))
    assert agreed.detections >= 20 * count
    assert agreed.equal, agreed
    assert agreed.near_ties <= max(2, agreed.detections // 10), agreed


def test_what_is_found_does_not_depend_on_the_neighbours(onnx_file, photographs):
    model = Model(onnx_file)
    mixed = [photographs[0], photographs[1][:100], photographs[1]]
    together, alone = model.predict(mixed, batch_size=3), model.predict(mixed)
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-2)
        assert a.names == b.names


def test_files_pictures_and_arrays(onnx_file, photographs, tmp_path):
    file = tmp_path / "a.png"
    Image.fromarray(photographs[0]).save(file)
    model = Model(onnx_file)
    first, *others = model.predict([file, str(file), Image.open(file), photographs[0]], threshold=0.3)
    assert len(first)
    assert first.scores.min() >= 0.3
    for other in others:
        np.testing.assert_array_equal(first.boxes, other.boxes)


def test_the_description(onnx_file):
    d = Model(onnx_file).description
    assert (d.names, d.kind, d.architecture) == (("cat", "dog", "hen"), "detector", "FasterRCNN")
    assert (d.min_size, d.max_size, d.channels, d.max_detections) == (320, 640, None, 100)
    assert d.version == masu.__version__


def save_sealed(model, file):
    """An altered file with the checksum that it then has."""
    import onnx

    for entry in model.metadata_props:
        if entry.key == CHECKSUM:
            entry.value = BLANK
    onnx.save(model, file)
    seal(file)


@pytest.fixture
def with_thresholds(onnx_file, tmp_path):
    """The exported file as that of a model with thresholds of two of its three classes."""
    import onnx

    model = onnx.load(onnx_file)
    (entry,) = [p for p in model.metadata_props if p.key == "masu"]
    entry.value = json.dumps(json.loads(entry.value) | {"thresholds": {"cat": 0.25, "hen": 1.0}})
    save_sealed(model, tmp_path / "stored.onnx")
    return tmp_path / "stored.onnx"


def test_thresholds_of_classes(with_thresholds, photographs):
    model = Model(with_thresholds)
    assert model.thresholds == {"cat": 0.25, "dog": 0.5, "hen": 1.0}
    everything = model.predict(photographs)
    assert {name for found in everything for name in found.names} == {"cat", "dog", "hen"}
    for all_of, found in zip(everything, model.predict(photographs, threshold=model.thresholds), strict=True):
        keep = [s >= model.thresholds[n] for s, n in zip(all_of.scores, all_of.names, strict=True)]
        assert found.scores.tolist() == all_of.scores[keep].tolist()
        assert found.names == tuple(n for n, k in zip(all_of.names, keep, strict=True) if k)
    # a class that is not named has 0.5; the fewest of everything
    assert all(s >= 0.5 for found in model.predict(photographs, threshold={}) for s in found.scores)
    with pytest.raises(InputError, match="threshold of class 'cow': found no such class, wanted one of cat"):
        model.predict(photographs, threshold={"cow": 0.5})


def test_margins_of_classes(small, onnx_file, with_thresholds, photographs, tmp_path, monkeypatch):
    import onnx

    with pytest.raises(
        InputError, match=r"^margins: found none in .*small.onnx, wanted a file that has some"
    ):
        Model(onnx_file).predict(photographs, margins=True)
    model = onnx.load(with_thresholds)
    (entry,) = [p for p in model.metadata_props if p.key == "masu"]
    margins = {"cat": 0.1, "dog": 0.5}
    entry.value = json.dumps(json.loads(entry.value) | {"margins": margins})
    save_sealed(model, tmp_path / "margins.onnx")
    model = Model(tmp_path / "margins.onnx")
    found = model.predict(photographs, margins=True)
    plain = model.predict(photographs, model.thresholds)
    assert (
        sum(map(len, found)) == sum(map(len, plain)) > 0
    )  # from the thresholds on, of which they were measured
    for pixels, one, other in zip(photographs, as_detections(plain), found, strict=True):
        wanted = enlarged(one, margins, *pixels.shape[:2])
        np.testing.assert_allclose(other.boxes, wanted.boxes.numpy(), atol=1e-3)
    exported = open_detector(tmp_path / "margins.onnx").predict(photographs, margins=True)
    for one, other in zip(found, exported, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes.numpy(), atol=1e-3)
    monkeypatch.setattr(small, "margins", margins, raising=False)
    assert describe(small).as_dict()["margins"] == margins
    monkeypatch.setattr(small, "margins", {}, raising=False)
    assert "margins" not in describe(small).as_dict()  # so that an earlier masu opens the file
    with pytest.raises(ValueError, match="a margin of 'cow', which is no class"):
        Description.from_json(json.dumps(describe(small).as_dict() | {"margins": {"cow": 1}}))


def test_a_detector_s_thresholds_are_in_its_description(small, onnx_file, monkeypatch):
    assert describe(small).thresholds == {}
    monkeypatch.setattr(small, "thresholds", {"dog": 0.7}, raising=False)
    described = describe(small)
    assert type(described).from_json(json.dumps(asdict(described))) == described
    assert described.thresholds == {"dog": 0.7}
    # a file from before there were any
    older = {k: v for k, v in asdict(described).items() if k != "thresholds"}
    assert type(described).from_json(json.dumps(older)).thresholds == {}
    assert Model(onnx_file).thresholds == {"cat": 0.5, "dog": 0.5, "hen": 0.5}


def test_in_an_environment_without_torch(onnx_file, tmp_path):
    """A folder with NumPy, Pillow, ONNX Runtime and masu, and nothing else, is all that Python sees."""
    site = tmp_path / "site"
    site.mkdir()
    installed = Path(sysconfig.get_paths()["purelib"])
    for name in ("numpy", "numpy.libs", "PIL", "pillow.libs", "onnxruntime"):
        if (installed / name).exists():
            (site / name).symlink_to(installed / name)
    (site / "masu").symlink_to(Path(masu.__file__).parent)
    Image.fromarray(load_sample_images().images[0]).save(tmp_path / "a.png")
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import importlib.util as u; assert u.find_spec('torch') is None\n"
        "from masu.runtime import Model\n"
        f"found = Model({str(onnx_file)!r}).predict([{str(tmp_path / 'a.png')!r}])\n"
        "print(len(found[0]), sorted(m for m in sys.modules if m.startswith('torch')))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, loaded = done.stdout.split(maxsplit=1)
    assert int(count) > 0
    assert loaded.strip() == "[]"


def test_command_line(onnx_file, tmp_path, capsys):
    Image.fromarray(load_sample_images().images[1]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    assert _main([str(onnx_file), str(tmp_path), "--threshold", "0.2"]) == 3
    out, err = capsys.readouterr()
    row = json.loads(out)
    assert row["file"].endswith("a.png")
    assert all(found["score"] >= 0.2 for found in row["detections"])
    assert "b.png: found a file that is no image" in err


def test_the_command_line_takes_the_file_s_thresholds(with_thresholds, tmp_path, capsys):
    Image.fromarray(load_sample_images().images[1]).save(tmp_path / "a.png")
    shown = {}
    for options in ([], ["--threshold", "0.1"]):
        assert _main([str(with_thresholds), str(tmp_path / "a.png"), *options]) == 0
        shown[len(options)] = json.loads(capsys.readouterr().out)["detections"]
    least = {"cat": 0.25, "dog": 0.5, "hen": 1.0}
    assert shown[0] == [found for found in shown[2] if found["score"] >= least[found["name"]]]
    assert any(found["name"] == "cat" and found["score"] < 0.5 for found in shown[0])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.pt", b"", "the suffix '.pt', wanted .onnx, .xml, .tflite, .param; make one with masu export"),
        ("a.onnx", None, "no such file, wanted a file that masu export wrote; check the path"),
        ("a.onnx", b"nonsense", "a file that is no ONNX model"),
        ("a.onnx", b"\x08\x07", "a file that ONNX Runtime cannot open"),
    ],
)
def test_files_that_are_no_model(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        Model(tmp_path / name)
    assert said in str(error.value)


def test_a_model_of_someone_else(tmp_path):
    import onnx

    value = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["images"], ["y"])], "g", [value], [out])
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "a.onnx")
    with pytest.raises(InputError, match="found a model without masu's description"):
        Model(tmp_path / "a.onnx")


@pytest.mark.parametrize("text", ["nonsense", "[1]", '{"names": ["a"]}', '{"names": ["a"], "later": 1}'])
def test_a_description_of_another_version(onnx_file, tmp_path, text):
    import onnx

    model = onnx.load(onnx_file)
    onnx.helper.set_model_props(model, {"masu": text, CHECKSUM: BLANK})
    save_sealed(model, tmp_path / "a.onnx")
    with pytest.raises(InputError) as error:
        Model(tmp_path / "a.onnx")
    assert "a.onnx: found a description that this masu does not know (" in str(error.value)
    assert str(error.value).endswith("), wanted one of this version or older; update masu or export again")
    assert error.value.code == "other-version"


@pytest.mark.parametrize(
    "change",
    [
        {"names": []},
        {"names": ["a", "a"]},
        {"names": ["a", 3, "c"]},
        {"names": "abc"},
        {"kind": "segmenter"},
        {"min_size": 0},
        {"min_size": 2.5},
        {"max_size": 10**12},
        {"channels": True},
        {"min_score": float("nan")},
        {"max_detections": -1},
        {"threshold": 1.5},
        {"thresholds": {"cat": float("inf")}},
        {"thresholds": {"cow": 0.5}},
        {"thresholds": [0.5]},
        {"trained_on": {"data": 3}},
        {"version": None},
        {"later": 1},
    ],
)
def test_entries_of_a_description(small, change):
    whole = asdict(describe(small))
    assert Description.from_json(json.dumps(whole)) == describe(small)
    with pytest.raises(ValueError, match=next(iter(change)) if "cow" not in str(change) else "cow"):
        Description.from_json(json.dumps(whole | change))
    del whole["names"]
    with pytest.raises(ValueError, match="no entry 'names'"):
        Description.from_json(json.dumps(whole))


ANSWER = (
    np.zeros((1, 2, 4), np.float32),
    np.full((1, 2), 0.5, np.float32),
    np.ones((1, 2), np.int64),
    np.array([1]),
)
"""One image, one detection in two rows."""


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (0, np.zeros((1, 3, 4), np.float32), "answers of the shapes (1, 3, 4), (1, 2), (1, 2), (1,)"),
        (0, np.zeros((1, 2, 4)), "answers of the types float64"),
        (0, np.full((1, 2, 4), np.nan, np.float32), "boxes that are not finite"),
        (1, np.full((1, 2), 1.5, np.float32), "scores outside 0 to 1"),
        (2, np.full((1, 2), 3), "labels from 3 to 3 of 3 classes"),
        (2, np.full((1, 2), -1), "labels from -1 to -1 of 3 classes"),
        (3, np.array([3]), "a count of 3 to 3 among 2 rows"),
        (3, np.array([-1]), "a count of -1 to -1 among 2 rows"),
        (3, np.array([1, 1]), "answers of the shapes"),
    ],
)
def test_answers_that_no_graph_of_ours_gives(tmp_path, at, value, said):
    check_answer(tmp_path / "a.onnx", ANSWER, 1, 3)
    check_answer(tmp_path / "a.onnx", [*ANSWER[:2], np.array([[0, 77]]), ANSWER[3]], 1, 3)  # beyond the count
    with pytest.raises(InputError) as error:
        check_answer(tmp_path / "a.onnx", [*ANSWER[:at], value, *ANSWER[at + 1 :]], 1, 3)
    assert f"a.onnx: found {said}" in str(error.value)


def test_a_damaged_file_is_not_opened(onnx_file, tmp_path):
    content = bytearray(onnx_file.read_bytes())
    content[len(content) // 2] ^= 1  # a bit of a weight
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(
        InputError, match=r"a\.onnx: found another checksum than its own: it is damaged, wanted"
    ):
        Model(tmp_path / "a.onnx")


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there")
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_folder_whose_name_is_not_utf8(onnx_file, photographs, tmp_path, engine):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "a.onnx").write_bytes(onnx_file.read_bytes())
    assert len(Model(folder / "a.onnx", engine).predict(photographs[:1])[0])


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_eight_threads_find_what_one_finds(onnx_file, photographs, engine):
    model = Model(onnx_file, engine, threads=1)
    images = [p[top:, left:] for p in photographs for top in (0, 40, 60) for left in (0, 30)]
    wanted = model.predict(images)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda image: model.predict([image])[0], images * 3))
    for one, other in zip(found, wanted * 3, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_forked_process_is_refused_instead_of_hanging(onnx_file, photographs, engine):
    """In a process of its own: this one has threads of which a fork would know nothing."""
    code = (
        "import multiprocessing as m, numpy as np, sys\n"
        "from masu.runtime import Model\n"
        f"model = Model({str(onnx_file)!r}, {engine!r}, threads=2)\n"
        "image = np.zeros((40, 50, 3), np.uint8)\n"
        "def child():\n"
        "    try:\n        model.predict([image])\n"
        "    except ValueError as error:\n        print(error, flush=True)\n"
        "model.predict([image])\n"
        "p = m.get_context('fork').Process(target=child); p.start(); p.join(60); sys.exit(p.exitcode)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "found a model that was opened before this process was forked" in done.stdout


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 700), (700, 1), (7, 5)])
def test_pictures_of_a_few_pixels(small, onnx_file, engine, height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    wanted = small.predict([image])
    agreed = agreement(small, wanted, Model(onnx_file, engine).predict([image]))
    assert agreed.detections > 10
    assert agreed.equal, agreed
    assert agreed.near_ties <= max(2, agreed.detections // 10), agreed


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_no_image_at_all(onnx_file, engine):
    model = Model(onnx_file, engine)
    assert model.predict([]) == []
    boxes, scores, labels, count = model.run(np.zeros((0, 40, 30, 3), np.uint8))
    assert (boxes.shape, scores.shape, labels.shape, count.shape) == ((0, 100, 4), (0, 100), (0, 100), (0,))


def test_arrays_of_every_kind(onnx_file, photographs):
    model, image = Model(onnx_file), photographs[0][:100, :150]
    grey = image[..., 0]
    same = [
        [image, np.asfortranarray(image), np.dstack([image, grey]), image.astype(np.uint16) * 257],
        [image[::2, ::-1], image[::2, ::-1].copy()],
        [grey, grey[..., None], np.dstack([grey] * 3), Image.fromarray(grey)],
    ]
    for images in same:
        first, *others = model.predict(images)
        assert len(first)
        for other in others:
            np.testing.assert_array_equal(first.boxes, other.boxes)


@pytest.mark.parametrize(
    ("shape", "kind", "said"),
    [
        (
            (4, 4, 3),
            float,
            "float64, wanted (H, W, 3) uint8; write (255 * image).astype('uint8') for floats 0–1",
        ),
        ((3, 4, 5), np.uint8, "uint8, wanted (H, W, 3) uint8; convert or transpose it"),
        ((1, 4, 4, 3), np.uint8, "uint8, wanted (H, W, 3) uint8; convert or transpose it"),
        ((4,), np.uint8, "uint8, wanted (H, W, 3) uint8; convert or transpose it"),
        ((0, 4, 3), np.uint8, "uint8, wanted (H, W, 3) uint8; convert or transpose it"),
        ((4, 4, 3), np.int64, "int64, wanted (H, W, 3) uint8; convert or transpose it"),
    ],
)
def test_arrays_that_are_no_picture(onnx_file, shape, kind, said):
    with pytest.raises(InputError) as error:
        Model(onnx_file).predict([np.zeros(shape, kind)])
    assert str(error.value) == f"image array: found shape {shape} of {said}"


@pytest.mark.parametrize(
    "image", [None, 3, b"a.png", torch.zeros(3, 4, 4)], ids=["none", "int", "bytes", "tensor"]
)
def test_things_that_are_no_picture(onnx_file, image):
    for given, where in ((image, ""), ([image], " at position 0")):
        found = "None" if image is None else f"a value of type {type(image).__name__}"
        with pytest.raises(TypeError) as error:
            Model(onnx_file).predict(given)
        assert str(error.value).startswith(
            f"predict: found {found}{where}, wanted an image (a path, a Pillow image, or an array (H, W, 3)), "
        ), given


def test_a_single_picture_and_empty_batches(onnx_file):
    model, image = Model(onnx_file), np.zeros((4, 4, 3), np.uint8)
    alone, (listed,) = model.predict(image), model.predict([image])
    assert alone.boxes.tolist() == listed.boxes.tolist()
    assert model.predict([]) == []
    with pytest.raises(InputError, match=r"^batch_size: found 0, wanted a whole number from 1 to 65536; "):
        model.predict([image], batch_size=0)


def test_a_file_a_folder_and_a_stream(onnx_file, tmp_path):
    model, files = Model(onnx_file), [tmp_path / "a.png", tmp_path / "b" / "c.png"]
    files[1].parent.mkdir()
    for file, image in zip(files, load_sample_images().images, strict=True):
        Image.fromarray(image[:150, :200]).save(file)
    one, *_ = wanted = model.predict(files, threshold=0.3)
    assert len(one)
    assert (one.path, model.predict(files[0]).path) == (files[0], files[0])
    for many in (model.predict(tmp_path, threshold=0.3), list(model.stream(iter(files), threshold=0.3))):
        assert [f.scores.tolist() for f in many] == [f.scores.tolist() for f in wanted]
    with pytest.raises(
        InputError, match=r"^https://a\.b/c\.jpg: found a URL, wanted a file on this computer; "
    ):
        model.predict("https://a.b/c.jpg")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("shape", "kind"), [((1, 4, 4, 3), np.float32), ((4, 4, 3), np.uint8), ((1, 3, 4, 4), np.uint8)]
)
def test_the_graph_takes_nothing_else(onnx_file, engine, shape, kind):
    with pytest.raises(InputError) as error:
        Model(onnx_file, engine).run(np.zeros(shape, kind))
    assert str(error.value) == (
        f"images: found shape {shape} of {np.dtype(kind)}, wanted (N, H, W, 3) uint8; or use predict"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="stack_t is laid out in another way elsewhere")
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_signals_keep_their_stack(onnx_file, engine):
    """OpenVINO's own one, once freed, would end the process at the next signal that has a handler."""

    def stack():
        fields = (ctypes.c_uint64 * 8)()  # address, flags, size
        ctypes.CDLL(None).sigaltstack(None, fields)
        return list(fields)

    before = stack()
    model = Model(onnx_file, engine)
    model.predict([np.zeros((48, 64, 3), np.uint8)])
    assert stack() == before
