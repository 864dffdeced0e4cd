"""Model files of version 0.1.0 with the words of its settings, and what that version found with them."""

import json
from pathlib import Path

import pytest
import safetensors
import torch
from torch.testing import assert_close

import masu
from masu.detectors.older_files import in_todays_words
from masu.detectors.rois import RoISettings
from masu.detectors.rpn import ProposalSettings

FILES = Path(__file__).parent / "files"
PROPOSALS = ProposalSettings(
    fg_iou_thresh=0.6,
    bg_iou_thresh=0.25,
    batch_size_per_image=64,
    positive_fraction=0.4,
    box_loss="l1",
    pre_nms_top_n_training=120,
    pre_nms_top_n=60,
    post_nms_top_n_training=50,
    post_nms_top_n=30,
    nms_thresh=0.65,
    min_size=0.5,
    score_thresh=0.01,
)
ROIS = RoISettings(
    strides=(8, 16, 32),
    cells=3,
    hidden=(8, 8),
    batch_size_per_image=32,
    positive_fraction=0.3,
    fg_iou_thresh=0.55,
    score_thresh=0.03,
    min_size=0.2,
    nms_thresh=0.45,
    detections_per_img=20,
)


@pytest.mark.parametrize("kind", ["FasterRCNN", "RetinaNet", "RPN"])
def test_an_older_file_finds_what_it_found(kind):
    detector = masu.load(FILES / f"masu-1-{kind}.safetensors")
    image = torch.randint(0, 256, (3, 60, 80), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    wanted = json.loads((FILES / "masu-1-answers.json").read_text())[kind]
    (found,) = detector.predict([image])
    assert found.labels.tolist() == wanted["labels"]
    assert_close(found.boxes, torch.tensor(wanted["boxes"]), rtol=0, atol=1e-2)
    assert_close(found.scores, torch.tensor(wanted["scores"]), rtol=0, atol=1e-4)


def test_every_setting_of_an_older_file_is_read():
    two = masu.load(FILES / "masu-1-FasterRCNN.safetensors")
    assert (two.config.rpn.proposals, two.config.rois) == (PROPOSALS, ROIS)
    assert (two.names, two.thresholds) == (("cat", "dog"), {"cat": 0.4})
    assert masu.load(FILES / "masu-1-RPN.safetensors").config.proposals == PROPOSALS
    one = masu.load(FILES / "masu-1-RetinaNet.safetensors").config
    assert (one.fg_iou_thresh, one.bg_iou_thresh, one.alpha, one.gamma) == (0.55, 0.35, 0.3, 1.5)
    assert (one.score_thresh, one.pre_nms_top_n, one.min_size) == (0.02, 40, 0.3)
    assert (one.nms_thresh, one.detections_per_img) == (0.4, 15)


@pytest.mark.parametrize("kind", ["FasterRCNN", "RetinaNet", "RPN"])
def test_an_older_file_is_saved_in_todays_words(kind, tmp_path):
    older = masu.load(FILES / f"masu-1-{kind}.safetensors")
    masu.save(older, tmp_path / "model.safetensors")
    with safetensors.safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert "match_high" not in file.metadata()["config"]
        assert "fg_iou_thresh" in file.metadata()["config"]
    assert masu.load(tmp_path / "model.safetensors").config == older.config


def test_another_kind_has_no_older_words():
    assert in_todays_words("FCOS", {"samples": 3, "kept": 2}) == {"samples": 3, "kept": 2}
