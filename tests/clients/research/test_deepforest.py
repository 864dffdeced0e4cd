"""DeepForest predicts, tiles, trains and evaluates with a detector of masu."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from deepforest.model import BaseModel
from PIL import Image
from torchvision.ops import box_iou

import masu
from examples.clients.with_deepforest import as_deepforest
from tests.clients.answers import assert_same
from tests.clients.learning import mean_loss


def table_of(folder, data):
    """DeepForest's table of boxes for the pictures that have some, and the pictures beside it."""
    folder.mkdir()
    with (folder / "boxes.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image_path", "xmin", "ymin", "xmax", "ymax", "label"])
        for path, target in data:
            (folder / path.name).write_bytes(path.read_bytes())
            for box, label in zip(target.boxes.int().tolist(), target.labels.tolist(), strict=True):
                rows.writerow([path.name, *box, data.names[label]])
    return str(folder / "boxes.csv")


def cut(found):
    """DeepForest cuts coordinates to whole pixels: by 0 to 1, so half of one and as much again either way."""
    return replace(found, boxes=found.boxes - 0.5)


def columns(frame):
    return frame[["xmin", "ymin", "xmax", "ymax"]].to_numpy(), frame["score"], frame["label"]


def test_its_own_check_of_models(any_beginner):
    class Model(BaseModel):
        def create_model(self):
            return masu.to_torchvision(any_beginner)

    Model(config=None).check_model()


def test_predict_image_is_predict(detector, data, pictures):
    """At a threshold of 1 DeepForest's suppression across classes drops nothing."""
    forest = as_deepforest(detector, nms_thresh=1.0)
    for picture in pictures[:3]:
        frame = forest.predict_image(image=picture.astype(np.float32))
        assert_same(cut(detector.predict([picture])[0]), *columns(frame), pixels=0.501)
    path = str(data[0][0])
    frame = forest.predict_image(path=path)
    assert_same(cut(detector.predict([path])[0]), *columns(frame), pixels=0.501)


def test_predict_tile_finds_what_small_pictures_show(detector, pictures, tmp_path):
    """Four pictures side by side, one window each."""
    tile = [picture[:224, :224] for picture in pictures[:4]]
    whole = np.concatenate([np.concatenate(tile[:2], 1), np.concatenate(tile[2:], 1)], 0)
    Image.fromarray(whole).save(tmp_path / "whole.png")
    forest = as_deepforest(detector, accelerator="cpu", log_root=str(tmp_path / "log"))
    frame = forest.predict_tile(
        path=str(tmp_path / "whole.png"), patch_size=224, patch_overlap=0.0, iou_threshold=1.0
    )
    boxes, scores, names = columns(frame)
    every = detector.predict(tile)
    wanted = [
        box + 224 * np.array([i % 2, i // 2, i % 2, i // 2])
        for i, found in enumerate(every)
        for box in cut(found).boxes.numpy()
    ]
    sure = scores.to_numpy() > 0.5
    own = np.array([float(score) for found in every for score in found.scores])
    order, other = np.argsort(-scores.to_numpy()[sure]), np.argsort(-own[own > 0.5])
    assert sure.sum() > 4
    np.testing.assert_allclose(boxes[sure][order], np.array(wanted)[own > 0.5][other], atol=0.501)
    mine = [name for found in every for name in found.names]
    assert list(names[sure].to_numpy()[order]) == [np.array(mine)[own > 0.5][i] for i in other]


def test_it_trains_validates_and_evaluates(beginner, train_data, pairs, tmp_path):
    table = table_of(tmp_path / "digits", train_data)
    forest = as_deepforest(
        beginner, batch_size=2, accelerator="cpu", devices=1, log_root=str(tmp_path / "log")
    )
    forest.config.train.csv_file = forest.config.validation.csv_file = table
    forest.config.train.root_dir = forest.config.validation.root_dir = str(tmp_path / "digits")
    forest.config.train.augmentations = None
    forest.config.train.lr = 0.005
    forest.config.train.epochs = 6
    forest.create_trainer(enable_progress_bar=False)
    before = mean_loss(beginner, pairs)
    forest.trainer.fit(forest)
    assert mean_loss(forest.model.to_masu(), pairs) < 0.7 * before
    assert float(forest.trainer.callback_metrics["val_loss"]) > 0


def test_evaluate_counts_what_is_there(detector, train_data, tmp_path):
    table = table_of(tmp_path / "digits", train_data)
    forest = as_deepforest(detector, accelerator="cpu", log_root=str(tmp_path / "log"), score_thresh=0.5)
    forest.model.roi_heads.score_thresh = 0.5
    figures = forest.evaluate(table, root_dir=str(tmp_path / "digits"), iou_threshold=0.4)
    assert figures["box_recall"] > 0.8
    assert figures["box_precision"] > 0.8
    assert figures["box_recall"] == pytest.approx(recall_by_hand(detector, train_data), abs=1e-6)


def recall_by_hand(detector, data):
    """Mean over pictures with objects of the share of boxes that a detection overlaps by 0.4."""
    shares = []
    for path, target in data:
        if len(target):
            found = detector.predict([path], threshold=0.5)[0]
            best = box_iou(target.boxes, found.boxes).max(1).values
            shares.append(float((best > 0.4).float().mean()))
    return np.mean(shares)
