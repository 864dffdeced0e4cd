import json
import re
from dataclasses import replace

import pytest
from PIL import Image

import masu
from masu.data.kinds import Fault
from masu.errors import InputError
from masu.training.recipe import TrainSettings
from masu.training.run_state import RunState
from masu.training.train import train
from masu.training.train_page import MOST_SHEETS, TrainPage
from tests.markup import read_html

SETTINGS = TrainSettings(epochs=4, image_size=64).resolved()


def row(epoch, **figures):
    return {"epoch": epoch, "loss": 2.0 / epoch, "classes": 1.0 / epoch, "boxes": 1.0 / epoch} | {
        "seconds": 10.0 * epoch, "images_per_second": 2.5, "learning_rate": 1e-4
    } | figures  # fmt: skip


def text_of(html):
    return re.sub(r"\s+", " ", " ".join(read_html(html).text))


@pytest.fixture
def data(coins):
    return masu.read_dataset(coins, "train")


@pytest.fixture
def page(data, tmp_path):
    out = tmp_path / "my run"
    (out / "samples").mkdir(parents=True)
    return TrainPage(out, SETTINGS, (data, None), [])


def written(page, state, *arguments):
    page.write(state, *arguments)
    return (page.out / "report.html").read_text(encoding="utf-8")


def test_figures_by_hand(page):
    state = RunState(
        seconds=30.0,
        history=[row(1, ap=0.25, ap50=0.5), row(2, ap=0.4567, ap50=0.75), row(3, ap=0.3, ap50=0.8)],
    )
    html = written(page, state, 0.75)
    text = text_of(html)
    assert "Training my run Under way: 3 of 4 epochs done. This page loads itself anew every 5 s." in text
    assert "Best AP 0.457 epoch 2, AP50 0.750" in text
    assert "Loss 0.667 epoch 3" in text
    assert "Time spent 30 s evaluation not counted Time left 10 s at this pace" in text
    assert "Speed 2.5 images a second, last epoch" in text
    assert "75 percent of the training is done" in html
    assert "None was met." in text
    for title in (
        "AP",
        "AP50",
        "Loss, all terms",
        "Loss: classes",
        "Loss: boxes",
        "Learning rate",
        "Images per second",
    ):
        assert f'aria-label="{title}, from ' in html
    assert "image size 64" in text
    assert "augmentation: horizontal flip 0.5" in text
    assert "time budget" not in text  # a setting that is None


def test_every_term_of_the_loss_is_shown_whatever_its_name(page):
    rows = [
        {"epoch": i, "loss": 3.0, "proposal_boxes": 1.0, "curliness": 2.0, "skipped": 0, "seconds": 1.0 * i}
        | {"images_per_second": 2.5, "learning_rate": 1e-4, "ar_small": 0.5}
        for i in (1, 2)
    ]
    html = written(page, RunState(seconds=30.0, history=rows), 0.75)
    for title in ("Loss, all terms", "Loss: boxes of proposals", "Loss: curliness"):
        assert f'aria-label="{title}, from ' in html
    assert html.count('aria-label="Loss') == 3


def test_only_a_run_that_goes_on_loads_itself_anew(page):
    state = RunState(seconds=10.0, history=[row(1)])
    assert '<meta http-equiv="refresh" content="5">' in written(page, state, 0.25)
    for arguments, words in (
        ((1.0,), "Finished."),
        (
            (0.5, "stopped by hand; the same command with --resume goes on from there"),
            "Stopped by hand; the same ",
        ),
    ):
        html = written(page, state, *arguments)
        assert "http-equiv" not in html
        assert words in text_of(html)
        assert "no epoch follows" in text_of(html)
    page.settings = replace(SETTINGS, patience=2)
    state.gave_up = True
    assert "Finished: 2 evaluations brought nothing better." in text_of(written(page, state, 0.5))


def put_samples(page, epochs, pictures, size=(2000, 360)):
    for epoch in epochs:
        folder = page.out / "samples" / f"epoch_{epoch:03}"
        folder.mkdir()
        for number in range(1, pictures + 1):
            Image.new("RGB", size, (epoch, number, 0)).save(folder / f"{number}.jpg")


def test_the_page_is_valid_accessible_and_alone(page):
    put_samples(page, (1, 2, 3), 2)
    read = read_html(html := written(page, RunState(seconds=1.0, history=[row(1, ap=0.1, ap50=0.2)]), 0.1))
    tags = [tag for tag, _ in read.tags]
    assert tags.count("h1") == tags.count("main") == 1
    assert all(a.get("alt") for tag, a in read.tags if tag == "img")
    assert all(a.get("aria-label") for tag, a in read.tags if tag == "svg")
    ids = [a["id"] for _, a in read.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for _, a in read.tags if "aria-labelledby" in a} <= set(ids)
    assert {a["for"] for tag, a in read.tags if tag == "label"} <= set(ids)
    sources = [a[key] for _, a in read.tags for key in ("src", "href") if key in a]
    assert len(sources) == 6
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "url(" not in html


def test_pictures_of_few_epochs_evenly_spread_the_newest_shown(page):
    put_samples(page, range(1, 42, 2), 1)  # 1, 3 … 41: 21 epochs
    read = read_html(
        html := written(page, RunState(seconds=1.0, history=[row(i) for i in range(1, 42)]), 1.0)
    )
    sheets = [a for _, a in read.tags if "data-epoch" in a]
    assert [int(a["data-epoch"]) for a in sheets] == [1, 9, 17, 25, 33, 41]
    assert ["hidden" in a for a in sheets] == [True] * 5 + [False]
    assert len(sheets) == MOST_SHEETS
    (slider,) = [a for _, a in read.tags if a.get("type") == "range"]
    assert (slider["max"], slider["value"]) == ("5", "5")
    assert len(html) < 200_000


def test_one_epoch_of_pictures_needs_no_slider(page):
    put_samples(page, (1,), 1)
    html = written(page, RunState(seconds=1.0, history=[row(1)]), 1.0)
    assert 'type="range"' not in html
    assert "<script" not in html


def test_an_epoch_under_way_is_shown(data, page):
    page.steps = 12
    state = RunState(epoch=1, step=3, seconds=20.0, images=8, sums={"boxes": 4.0}, epoch_seconds=2.0)
    state.history = [row(1)]
    text = text_of(written(page, state, 0.3))
    assert "Under way: epoch 2 of 4, step 3 of 12." in text
    assert "Loss 0.500 epoch 2, so far" in text
    assert "Speed 4.0 images a second, this epoch" in text
    assert "Under way: the first step is computed." in text_of(written(page, RunState(), 0.0))


def test_a_finished_run_ends_with_the_three_next_commands(data, page):
    page.data.append(data)
    model, state = page.out / "best.safetensors", RunState(seconds=1.0, history=[row(1)])
    html = written(page, state, 1.0)
    assert re.findall(r"<pre><code>(.*?)</code></pre>", html) == [
        f"masu evaluate &#39;{model}&#39; {data.root} --split train --store-thresholds",
        f"masu detect &#39;{model}&#39; new_photos/ --out found",
        f"masu export &#39;{model}&#39;",
    ]
    page.data.pop()
    assert f"masu explain &#39;{model}&#39; {data.root}<" in written(page, state, 1.0)
    assert "<pre>" not in written(page, state, 0.5)


def test_faults_are_told_once_and_escaped(data, tmp_path):
    known = Fault(
        "no-area", tmp_path / "a.xml", "object 2 (<b>cat</b>)", "box 1 2 1 2 has no area", "skipped"
    )
    found = [
        Fault("unreadable-image", tmp_path / f"{i:02}.png", "image", "an empty file", "skipped")
        for i in range(25)
    ]
    (tmp_path / "run").mkdir()
    faulty = replace(data, faults=(known,))  # the same folder to learn from and to validate on
    page = TrainPage(tmp_path / "run", SETTINGS, (faulty, faulty), {known, *found})
    html = written(page, RunState(seconds=1.0, history=[row(1)]), 1.0)
    assert html.count("has no area") == 1
    assert "<b>cat" not in html
    assert html.count("an empty file") == 19
    assert "6 more;" in html


def test_without_an_epoch_or_validation(page):
    text = text_of(written(page, RunState(), 0.0))
    assert "Best – not evaluated so far" in text
    assert "Time left – at this pace" in text
    assert "Best – not evaluated so far" in text_of(
        written(page, RunState(seconds=1.0, history=[row(1)]), 0.5)
    )


def test_proposals_are_judged_by_recall(page):
    history = [row(1, ar100=0.5, ar1000=0.625)]
    assert "Best Recall, 100 boxes 0.500 epoch 1" in text_of(
        written(page, RunState(seconds=1.0, history=history), 0.5)
    )


def test_a_resumed_run_has_the_whole_page(coins, tmp_path):
    data, val = masu.read_dataset(coins, "train"), masu.read_dataset(coins, "val")
    settings = TrainSettings(
        backbone="timm/test_efficientnet",
        weights="none",
        epochs=2,
        image_size=64,
        batch_size=4,
        learning_rate=1e-3,
    )
    out = tmp_path / "run"
    epochs = 0

    def stop(event):
        nonlocal epochs
        if event["event"] == "epoch":
            epochs += 1
            assert 'http-equiv="refresh"' in (out / "report.html").read_text(encoding="utf-8")
            raise KeyboardInterrupt

    train(data, val, settings, out, report=stop)
    html = (out / "report.html").read_text(encoding="utf-8")
    assert epochs == 1
    assert "http-equiv" not in html
    assert "Stopped by hand; the same command with --resume goes on from there." in text_of(html)
    train(data, val, settings, out, resume=True)
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "Finished." in text_of(html)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [f"{r['loss']:.4g}" in html for r in rows] == [True, True]
    assert html.count("data:image/jpeg;base64,") == 2 * len(val)


def test_the_page_of_a_run_that_fails_says_why(coins, tmp_path, monkeypatch):
    data = masu.read_dataset(coins, "train")
    monkeypatch.setattr("masu.training.nonfinite.first_non_finite", lambda losses: "boxes")
    with pytest.raises(InputError) as caught:
        train(
            data,
            None,
            TrainSettings(
                backbone="timm/test_efficientnet", weights="none", epochs=1, image_size=64, batch_size=4
            ),
            tmp_path / "run",
        )
    assert f"Stopped: {caught.value}." in text_of(
        (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    )
