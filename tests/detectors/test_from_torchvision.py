"""What from_torchvision reads, unwraps, and refuses by name."""

import types
from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.detection import FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

import masu
from benchmarks.torchvision_oracle import compare_detections, photographs, reference
from masu.detectors.torchvision_models import from_torchvision

MOBILE = "fasterrcnn_mobilenet_v3_large_320_fpn"
RETINA = "retinanet_resnet50_fpn"


@pytest.fixture(scope="module")
def mobile():
    return reference(MOBILE)


def small_mobile(**settings):
    torch.manual_seed(0)
    return torchvision.models.get_model(
        MOBILE, weights=None, weights_backbone=None, num_classes=4, **settings
    )


def small_retina(classes=4):
    torch.manual_seed(0)
    return torchvision.models.get_model(RETINA, weights=None, weights_backbone=None, num_classes=classes)


def message_of(model, **options):
    with pytest.raises(masu.InputError) as caught:
        from_torchvision(model, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def fixed_size(model):
    model.transform.fixed_size = (320, 320)
    return "transform.fixed_size = (320, 320)"


def own_transform(model):
    class Padded(GeneralizedRCNNTransform):
        pass

    model.transform.__class__ = Padded
    return "found Padded as transform, wanted torchvision's GeneralizedRCNNTransform"


def sampling(model):
    model.roi_heads.box_roi_pool.sampling_ratio = 0
    return "roi_heads.box_roi_pool.sampling_ratio = 0, wanted 2"


def oblong(model):
    model.roi_heads.box_roi_pool.output_size = (7, 5)
    return "roi_heads.box_roi_pool.output_size = (7, 5)"


def other_maps(model):
    model.roi_heads.box_roi_pool.featmap_names = ["1"]
    return "roi_heads.box_roi_pool.featmap_names = ['1'], wanted ['0']"


def ratios(model):
    model.rpn.anchor_generator.aspect_ratios = ((0.5, 1.0, 2.0), (1.0, 2.0, 4.0), (0.5, 1.0, 2.0))
    return "the same on every level"


def between(model):
    model.roi_heads.proposal_matcher.low_threshold = 0.3
    return "roi_heads' background IoU = 0.3, wanted 0.5"


def low_quality(model):
    model.rpn.proposal_matcher.allow_low_quality_matches = False
    return "rpn.proposal_matcher.allow_low_quality_matches = False, wanted True"


def clamp(model):
    model.roi_heads.box_coder.bbox_xform_clip = 10.0
    return "roi_heads.box_coder.bbox_xform_clip = 10.0"


def patched(model):
    model.roi_heads.postprocess_detections = lambda *args: ([], [], [])
    return "a replaced method roi_heads.postprocess_detections"


def patched_forward(model):
    model.rpn.forward = types.MethodType(lambda self, *args: None, model.rpn)
    return "a replaced method rpn.forward"


def hooked(model):
    model.backbone.register_forward_hook(lambda *args: None)
    return "a forward hook on backbone"


def own_head(model):
    class Predictor(type(model.roi_heads.box_predictor)):
        pass

    model.roi_heads.box_predictor.__class__ = Predictor
    return "found Predictor as roi_heads.box_predictor"


def mixed_epsilons(model):
    next(m for m in model.backbone.body.modules() if isinstance(m, nn.BatchNorm2d)).eps = 0.1
    return "normalisation layers of several kinds or epsilons"


def on_meta(model):
    model.to("meta")
    return "on the meta device"


def another_activation(model):
    model.backbone.body["0"][2] = nn.ReLU()
    return "backbone.body.0.2 = ReLU("


def no_skip(model):
    next(
        m for m in model.backbone.body.modules() if getattr(m, "use_res_connect", False)
    ).use_res_connect = False
    return "use_res_connect=False"


def another_padding(model):
    model.rpn.head.conv[0][0].padding_mode = "reflect"
    return "rpn.head.conv.0.0 = Conv2d(padding_mode=reflect"


def own_anchors(model):
    generator = model.rpn.anchor_generator
    generator.cell_anchors = [anchors * 1.5 for anchors in generator.cell_anchors]
    return "anchor_generator.cell_anchors that were changed"


def own_body(model):
    class Body(type(model.backbone.body)):
        pass

    model.backbone.body.__class__ = Body
    return "backbone.body = Body("


CHANGES = [
    another_activation,
    no_skip,
    another_padding,
    own_anchors,
    own_body,
    fixed_size,
    own_transform,
    sampling,
    oblong,
    other_maps,
    ratios,
    between,
    low_quality,
    clamp,
    patched,
    patched_forward,
    hooked,
    own_head,
    mixed_epsilons,
    on_meta,
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_would_answer_differently_is_refused_by_name(change):
    model = small_mobile()
    named = change(model)
    assert named in message_of(model)


def test_settings_of_the_pooling_are_taken_over(mobile):
    pool = mobile.roi_heads.box_roi_pool
    assert isinstance(pool, MultiScaleRoIAlign)
    before = pool.canonical_scale, pool.canonical_level
    pool.canonical_scale, pool.canonical_level = 60, 5
    pool.scales = pool.map_levels = None
    try:
        detector = from_torchvision(mobile)
        assert (detector.config.rois.canonical_size, detector.config.rois.canonical_level) == (60, 5)
        found = compare_detections(mobile.double(), detector.double(), [photographs()[3].double()])
        assert found.same_labels
        assert found.pixels < 1e-3
    finally:
        pool.canonical_scale, pool.canonical_level = before
        pool.scales = pool.map_levels = None
        mobile.float()


def test_wrappers_prefixes_and_checkpoints_are_unwrapped():
    model = small_mobile().eval()
    wanted = from_torchvision(model).state_dict()

    class Lightning(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

    state = model.state_dict()
    wrapped = [
        nn.DataParallel(model),
        torch.compile(model),
        {"model": state, "epoch": 3},
        {"state_dict": {f"model.{key}": value for key, value in state.items()}},
        {f"module.{key}": value for key, value in state.items()},
        {f"_orig_mod.module.{key}": value for key, value in state.items()},
    ]
    for given in wrapped:
        architecture = None if isinstance(given, nn.Module) else "faster_rcnn_mobilenet_v3_large_320_fpn"
        found = from_torchvision(given, architecture=architecture).state_dict()
        assert all(torch.equal(found[key], value) for key, value in wanted.items())


def test_a_retinanet_trained_with_ids_from_1_loses_its_unused_first_column():
    model = small_retina(classes=4).eval()
    every = from_torchvision(model)
    assert every.names == ("class 0", "class 1", "class 2", "class 3")
    three = from_torchvision(model, names=["cat", "dog", "hen"])
    weight = model.head.classification_head.cls_logits.weight
    by_class = weight.reshape(9, 4, *weight.shape[1:])
    own = three.head.classes.output.weight
    assert torch.equal(own.reshape(9, 3, *own.shape[1:]), by_class[:, 1:])
    assert "found 2 names, wanted 4" in message_of(model, names=["a", "b"])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a", "a", "b"], "names: found 'a' more than once"),
        ("abc", "names: found 'abc', wanted a list of class names"),
        ([1, 2, 3], "wanted a list of class names"),
    ],
)
def test_names_are_checked_as_build_checks_them(names, said):
    assert said in message_of(small_mobile(), names=names)


def test_several_sizes_are_read_as_torchvision_predicts_with_the_last():
    model = small_mobile(min_size=(200, 240))
    assert from_torchvision(model).input.min_size == 240


def test_other_models_are_named():
    torch.manual_seed(0)
    eighteen = resnet_fpn_backbone(backbone_name="resnet18", weights=None)
    anchors = AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5)
    assert "a ResNet with 2 blocks in layer1" in message_of(
        FasterRCNN(eighteen, 3, rpn_anchor_generator=anchors)
    )
    assert "a Mask R-CNN" in message_of(MaskRCNN(eighteen, 3))
    generator = AnchorGenerator(((8,), (16,), (32,), (64,), (128,)), ((0.5, 1.0, 2.0),) * 5)
    assert "blocks in layer1" in message_of(RetinaNet(eighteen, 3, anchor_generator=generator))
    assert "found no detector of torchvision" in message_of(torchvision.models.resnet18())
    wide = small_mobile(box_detections_per_img=7)
    wide.roi_heads.box_head.fc6 = nn.Linear(256 * 49, 512)
    wide.roi_heads.box_head.fc7 = nn.Linear(512, 1024)
    assert "for box_head.linears.0.weight" in message_of(wide)


def test_a_tensor_that_is_none_is_named():
    assert "found int for 'epoch'" in message_of(
        {"roi_heads.box_predictor.cls_score.weight": torch.zeros(2, 3), "epoch": 3}
    )


def test_rois_from_levels_that_the_pyramid_has_not_are_refused():
    config = masu.build("faster_rcnn_lite0_fpn", ["cat"], "none", image_size=64).config
    wrong = replace(config, rois=replace(config.rois, strides=(4, 8, 16)))
    with pytest.raises(
        ValueError, match=r"^rois.strides: found \(4, 8, 16\), wanted the first strides of the pyramid"
    ):
        masu.build(wrong, ["cat"], "none")


def test_an_architecture_of_another_family_is_refused():
    said = message_of(small_mobile(), architecture="retinanet_resnet50_fpn")
    assert said.startswith(
        "architecture: found 'retinanet_resnet50_fpn', wanted one of faster_rcnn_resnet50_fpn, "
    )


def test_a_name_is_no_model():
    assert message_of("fasterrcnn_resnet50_fpn").startswith("model: found str, wanted a torchvision model")


def test_other_group_normalisation_of_a_retinanet_is_refused():
    torch.manual_seed(0)
    model = torchvision.models.get_model(
        "retinanet_resnet50_fpn_v2", weights=None, weights_backbone=None, num_classes=3
    )
    next(m for m in model.head.modules() if isinstance(m, nn.GroupNorm)).num_groups = 8
    assert "GroupNorm(num_groups=8), wanted GroupNorm(num_groups=32)" in message_of(model)


def test_other_epsilons_of_the_pyramid_are_refused():
    torch.manual_seed(0)
    name = "fasterrcnn_resnet50_fpn_v2"
    model = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=3)
    next(m for m in model.backbone.fpn.modules() if isinstance(m, nn.BatchNorm2d)).eps = 0.5
    assert "epsilon of a normalisation outside of the backbone's body = 0.5, wanted 1e-05" in message_of(
        model
    )
