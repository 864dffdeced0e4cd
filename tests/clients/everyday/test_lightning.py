"""Lightning fits, validates, saves and resumes a detector of masu."""

import pytest
import torch
from lightning import Trainer

import masu
from examples.clients.with_lightning import Learning
from tests.clients.learning import mean_loss


def trainer(folder, **more):
    return Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **more,
    )


def test_it_learns_and_goes_on_from_its_checkpoint(beginner, loader, pairs, tmp_path):
    before = mean_loss(beginner, pairs)
    learning = Learning(beginner)
    first = trainer(tmp_path, max_epochs=3)
    first.fit(learning, loader, loader)
    assert float(first.callback_metrics["val_loss"]) > 0
    trained = learning.model.to_masu()
    assert mean_loss(trained, pairs) < 0.8 * before

    file = tmp_path / "three.ckpt"
    first.save_checkpoint(file)
    again = Learning(beginner)
    second = trainer(tmp_path, max_epochs=4)
    second.fit(again, loader, ckpt_path=file)
    assert second.global_step == 4 * len(loader)

    masu.save(again.model.to_masu(), tmp_path / "learnt.safetensors")
    learnt = masu.load(tmp_path / "learnt.safetensors")
    assert mean_loss(learnt, pairs) == pytest.approx(mean_loss(again.model.to_masu(), pairs), abs=1e-5)


def test_validation_leaves_the_weights_alone(beginner, loader, tmp_path):
    learning = Learning(beginner)
    before = {name: x.clone() for name, x in learning.state_dict().items()}
    (figures,) = trainer(tmp_path).validate(learning, loader, verbose=False)
    assert figures["val_loss"] > 0
    assert all(torch.equal(x, before[name]) for name, x in learning.state_dict().items())


def test_bfloat16(any_beginner, loader, tmp_path):
    learning = Learning(any_beginner)
    mixed = trainer(tmp_path, max_epochs=1, precision="bf16-mixed", limit_train_batches=2)
    mixed.fit(learning, loader)
    assert torch.isfinite(mixed.callback_metrics["loss"])
    assert all(x.dtype == torch.float32 for x in learning.parameters())
