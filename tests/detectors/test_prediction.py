"""The prediction network: what predict runs is the detector as it is now, whatever ran before and beside it."""

import concurrent.futures
import copy
import importlib
import inspect
import io
import multiprocessing
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.testing import assert_close

import masu
from masu.detectors.prediction import PredictionNetwork
from masu.detectors.rpn import RPNConfig
from masu.detectors.zoo import make
from masu.nets.norm import FrozenNorm, set_norm_eps
from masu.ops.images import InputPolicy
from tests.detectors.test_detectors import NAMES, OBJECTS, SMALL_RETINANET, detectors, named, photographs  # noqa: F401

TINY = RPNConfig(
    "timm/test_efficientnet",
    from_stride=8,
    fpn_channels=8,
    frozen_norms=True,
    anchor_sizes=((8.0,), (16.0,), (32.0,), (64.0,)),
    input=InputPolicy(64, 96),
)
IMAGES = photographs(2, 64, 80)


def tiny(config=TINY):
    torch.manual_seed(0)
    detector = make(config, ())
    torch.nn.init.normal_(detector.head.objectness.weight, std=0.5)
    return detector.eval()


def assert_alike(found, wanted, tolerance=0.0):
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert torch.equal(a.labels, b.labels)
        assert_close(a.boxes, b.boxes, rtol=0, atol=tolerance)
        assert_close(a.scores, b.scores, rtol=0, atol=tolerance)


def itself(detector, images=IMAGES):
    """What the detector's own modules say, one image after the other, without any copy."""
    with torch.no_grad():
        return [detector.detections(detector([image]))[0] for image in images]


def forms_of(optimizer):
    """The ways in which an optimizer of torch can make its step."""
    known = inspect.signature(optimizer).parameters
    return [{}, *({form: True} for form in ("fused", "foreach") if form in known)]


OPTIMIZERS = [
    (optimizer, form)
    for optimizer in vars(torch.optim).values()
    if inspect.isclass(optimizer)
    and issubclass(optimizer, torch.optim.Optimizer)
    and optimizer
    not in (torch.optim.Optimizer, torch.optim.SparseAdam)  # that one takes sparse gradients only
    for form in forms_of(optimizer)
]


@pytest.mark.parametrize(
    ("optimizer", "form"), OPTIMIZERS, ids=["-".join([kind.__name__, *form]) for kind, form in OPTIMIZERS]
)
def test_predict_is_forward_after_a_step_of_every_optimizer(optimizer, form):
    detector = tiny().double()
    images = [image.double() for image in IMAGES]
    before = detector.predict(images)
    weights = [p for p in detector.parameters() if p.requires_grad]
    if optimizer is torch.optim.Muon:
        weights = [p for p in weights if p.ndim == 2] or [nn.Parameter(p.flatten(1)) for p in weights[:1]]
    step = optimizer(weights, lr=0.05, **form)
    if optimizer is torch.optim.LBFGS:  # it reads gradients as one row, which channels-last ones are not
        detector.to(memory_format=torch.contiguous_format)

    def closure():
        step.zero_grad()
        losses = detector.losses(detector(images), [OBJECTS] * 2, torch.Generator().manual_seed(0))
        total = sum(losses.values())
        total.backward()
        return total

    step.step(closure)
    after = detector.predict(images)
    assert_alike(after, itself(detector, images), 1e-5)
    if optimizer is not torch.optim.Muon:  # there is no matrix among these weights
        assert not torch.equal(after[0].boxes, before[0].boxes)


def in_place(detector):
    detector.backbone.conv_stem.weight.data.mul_(0.5)  # .data raises no version


def by_memory(detector):
    detector.backbone.conv_stem.weight.detach().numpy()[:] *= 0.5


def by_statistics(detector):
    next(b for name, b in detector.named_buffers() if name.endswith("running_mean")).data.add_(0.5)


def by_epsilon(detector):
    set_norm_eps(detector.backbone, 0.5)


def by_a_setting(detector):
    detector.config = replace(detector.config, proposals=replace(detector.config.proposals, post_nms_top_n=3))


def by_another_module(detector):
    detector.head.convs[0] = nn.Conv2d(8, 8, 3, padding=1)


def by_a_swap(detector):
    weight = detector.head.objectness.weight.data
    weight.copy_(weight.flip(0))  # the same numbers in other places


class Half(nn.Module):
    def forward(self, x):
        return x / 2


def by_parametrization(detector):
    parametrize.register_parametrization(detector.head.convs[0], "weight", Half())


def by_a_hook(detector):
    detector.fpn.output[0].register_forward_hook(lambda module, args, output: output * 2)


def by_the_anchors(detector):
    detector.cells[0].mul_(1.5)


CHANGES = [
    in_place,
    by_the_anchors,
    by_memory,
    by_statistics,
    by_epsilon,
    by_a_setting,
    by_another_module,
    by_a_swap,
    by_parametrization,
    by_a_hook,
]


@pytest.mark.parametrize("change", CHANGES)
def test_predict_follows_every_change(change):
    detector = tiny()
    before = detector.predict(IMAGES)
    change(detector)
    after = detector.predict(IMAGES)
    assert_alike(after, itself(detector), 1e-3)
    assert not torch.equal(after[0].boxes, before[0].boxes)


def test_without_a_change_the_same_network_is_used_again():
    detector = tiny()
    assert detector.prediction_network() is detector.prediction_network()
    detector.train()
    assert detector.prediction_network() is detector.prediction_network()


@pytest.mark.parametrize(
    "place", ["backbone.conv_stem", "fpn.lateral.0.0", "fpn.output.1.0", "head.convs.0", "head.deltas"]
)
def test_hooks_fire_before_and_after_the_first_predict(place):
    detector, seen = tiny(), []
    module = detector.get_submodule(place)
    module.register_forward_hook(lambda *_: seen.append("before"))
    detector.predict(IMAGES[:1])
    assert set(seen) == {"before"}
    handle = module.register_forward_hook(lambda *_: seen.append("after"))
    seen.clear()
    detector.predict(IMAGES[:1])
    assert set(seen) == {"before", "after"}
    handle.remove()
    seen.clear()
    detector.predict(IMAGES[:1])
    assert set(seen) == {"before"}


class Recorder:
    """An object whose bound method is the hook: it must be called itself, not a copy of it."""

    def __init__(self):
        self.calls = 0

    def __call__(self, *_):
        self.calls += 1


def test_a_hook_that_is_an_object_is_called_itself():
    detector, recorder = tiny(), Recorder()
    detector.head.register_forward_hook(recorder)
    detector.predict(IMAGES[:1])
    assert recorder.calls == len(detector.cells)


def test_a_network_is_not_changed_by_training_beside_it(named):  # noqa: F811
    _, detector = named
    detector = copy.deepcopy(detector)
    network = detector.prediction_network()
    wanted = network.predict(photographs(1))
    with torch.no_grad():
        for parameter in detector.parameters():
            parameter.mul_(0.5)
    assert_alike(network.predict(photographs(1)), wanted)
    assert not any(p.requires_grad for p in network.detector.parameters())


def again(thing):
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 what it reads is its own


def test_round_trips_give_the_same_answers(named):  # noqa: F811
    _, detector = named
    wanted = detector.predict(photographs(1))
    copies = [copy.deepcopy(detector), again(detector)]
    copies += [again(detector.prediction_network())]
    file = io.BytesIO()
    torch.save(detector, file)
    file.seek(0)
    copies.append(torch.load(file, weights_only=False))
    for one in copies:
        assert_alike(one.predict(photographs(1)), wanted)


def test_a_pickle_carries_no_copy_for_prediction():
    detector = tiny()
    alone = len(pickle.dumps(detector))
    detector.predict(IMAGES)
    assert len(pickle.dumps(detector)) == alone
    network = detector.prediction_network()
    assert len(pickle.dumps(network)) < len(pickle.dumps(network.detector)) + 2000  # and nothing else
    assert copy.deepcopy(detector)._prediction is None


def _predict(detector, images):
    torch.set_num_threads(1)
    return [(f.boxes.tolist(), f.scores.tolist()) for f in detector.predict(images)]


def test_a_spawned_process_gives_the_same_answers():
    detector = tiny()
    wanted = detector.predict(IMAGES)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(_predict, detector, IMAGES).result(timeout=120)
    for (boxes, scores), one in zip(found, wanted, strict=True):
        assert_close(torch.tensor(boxes), one.boxes, rtol=0, atol=1e-3)
        assert_close(torch.tensor(scores), one.scores, rtol=0, atol=1e-5)


def test_eight_threads_find_what_one_finds(named):  # noqa: F811
    _, detector = named
    detector = copy.deepcopy(detector)
    sizes = [(128, 160), (64, 64), (96, 200), (120, 90)]
    images = [photographs(1, *size)[0] for size in sizes]
    wanted = [copy.deepcopy(detector).predict([image])[0] for image in images]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda image: detector.predict([image])[0], images * 4))
    assert_alike(found, wanted * 4)


def test_what_ran_in_inference_mode_can_be_differentiated_after(named):  # noqa: F811
    _, detector = named
    detector = copy.deepcopy(detector)
    with torch.inference_mode():
        wanted = detector.predict(photographs(1))
    assert_alike(detector.predict(photographs(1)), wanted)
    found = wanted[0]
    assert masu.saliency(detector, photographs(1)[0], detection=0).map.max() > 0
    losses = detector.losses(detector(photographs(2)), [OBJECTS] * 2, torch.Generator().manual_seed(0))
    sum(losses.values()).backward()
    assert len(found) > 0


def test_gradients_reach_the_images(named):  # noqa: F811
    _, detector = named
    image = photographs(1)[0].requires_grad_()
    losses = detector.losses(detector([image]), [OBJECTS], torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(sum(losses.values()), image)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("change", ["half", "bfloat16"])
def test_half_precision_weights_are_refused(change):
    with pytest.raises(
        masu.InputError, match=r"^detector: found a change of all weights to torch\.\w+, wanted float32"
    ):
        getattr(tiny(), change)()
    with pytest.raises(masu.InputError, match=r"torch\.autocast"):
        tiny().to(getattr(torch, {"half": "float16"}.get(change, change)))


def test_an_explicit_network_is_one_for_many_calls(named):  # noqa: F811
    _, detector = named
    network = PredictionNetwork(detector)
    assert (network.names, network.kind, network.input) == (detector.names, detector.kind, detector.input)
    assert_alike(
        network.predict(photographs(2), batch_size=2), detector.predict(photographs(2), batch_size=2)
    )


def test_a_network_computes_in_the_precision_asked_for(named):  # noqa: F811
    _, detector = named
    detector, images = copy.deepcopy(detector).eval(), photographs(2, 64, 80)
    exact, network = detector.predict(images), detector.prediction_network("bf16")
    types = set()
    hooks = [
        module.register_forward_hook(lambda _, __, y: types.add(y.dtype))
        for module in network.detector.modules()
        if isinstance(module, nn.Conv2d)
    ]
    network.predict(images)
    for hook in hooks:
        hook.remove()
    found = network.predict(images)
    assert types == {torch.bfloat16}
    assert network.precision == "bf16"
    assert {t.dtype for one in found for t in (one.boxes, one.scores)} == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):
        assert_alike(found, detector.predict(images))
    assert_alike(detector.predict(images), exact)  # predict itself stays in single precision


def test_a_network_of_another_precision_is_not_the_one_that_is_kept():
    detector = tiny()
    kept = detector.prediction_network()
    assert detector.prediction_network("bf16") is not kept
    assert detector.prediction_network() is kept
    assert again(detector.prediction_network("bf16")).precision == "bf16"


@pytest.mark.parametrize(("native", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_what_the_processor_has_instructions_for(native, chosen, monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: native, raising=False)
    assert tiny().prediction_network("auto").precision == chosen


def test_a_precision_that_the_processor_only_imitates_is_refused():
    with pytest.raises(masu.InputError, match=r"^--precision: found fp16 on cpu, wanted fp32 or bf16 there"):
        tiny().prediction_network("fp16")


def test_labels_of_another_habit_are_refused_before_training():
    detector = masu.build("faster_rcnn_lite0_fpn", NAMES, "none", image_size=64)
    raw = detector(IMAGES[:1])
    with pytest.raises(ValueError, match="with 0 for background: subtract 1"):
        detector.losses(raw, [masu.Target([[1, 1, 20, 20], [3, 3, 9, 9]], [1, 2])])
    with pytest.raises(ValueError, match="this looks like x y width height"):
        masu.Target([[30, 40, 20, 10]], [0])


@pytest.fixture
def crowd():
    """A one-stage detector whose boxes crowd: thousands above the score, most of them overlapping."""
    torch.manual_seed(0)
    config = replace(
        SMALL_RETINANET, pre_nms_top_n=3000, score_thresh=0.01, nms_thresh=0.6, detections_per_img=2000
    )
    detector = make(config, NAMES).double().eval()
    torch.nn.init.normal_(detector.head.classes.output.weight, std=0.1)
    torch.nn.init.normal_(detector.head.boxes.output.weight, std=0.03)
    return detector.float()


def test_the_compiled_suppression_changes_no_detection(crowd, monkeypatch):
    module = importlib.import_module("masu.ops.nms")  # masu.ops.nms itself is the function
    calls = []

    def counted():
        suppress = compiled()
        return suppress and (lambda *given: calls.append(1) or suppress(*given))

    compiled = module.compiled
    if compiled() is None:
        pytest.skip("numba is not installed")
    images = photographs(2)
    monkeypatch.setattr(module, "compiled", lambda: None)
    plain = crowd.predict(images)
    monkeypatch.setattr(module, "WORTH_COMPILING", 0)
    monkeypatch.setattr(module, "compiled", counted)
    found = crowd.predict(images)
    assert calls
    assert all(len(f) > 300 for f in found)
    assert_alike(found, plain)


def test_what_ran_before_changes_no_detection(crowd):
    images = [*photographs(2), *photographs(2, 96, 200)]
    wanted = [copy.deepcopy(crowd).predict([image])[0] for image in images]
    for order in ([3, 1, 0, 2], [2, 2, 0, 1, 3]):
        for i in order:
            assert_alike(crowd.predict([images[i]]), [wanted[i]])
    masu.ops.nms(torch.rand(9000, 4).cumsum(1), torch.rand(9000), 0.5)  # loads the compiled form
    assert_alike(crowd.predict(images), wanted)


def test_a_compiled_detector_is_copied_whole():
    detector = tiny(replace(TINY, frozen_norms=False))
    detector.compile(backend="eager")
    detector.train()
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    network = detector.prediction_network()
    wanted = network.predict(IMAGES)
    assert all(torch.equal(before[name], value) for name, value in detector.state_dict().items())
    assert_alike(again(detector).predict(IMAGES), wanted)
    with torch.no_grad():
        for parameter in detector.parameters():
            parameter.mul_(0.5)
    assert_alike(network.predict(IMAGES), wanted)


def test_hooks_for_all_modules_are_seen_before_and_after():
    detector = tiny()
    before = detector.predict(IMAGES)
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda module, args, output: output * 2 if type(module) is FrozenNorm else None
    )
    try:
        assert_alike(detector.predict(IMAGES), itself(detector), 1e-3)
    finally:
        handle.remove()
    assert_alike(detector.predict(IMAGES), before)
