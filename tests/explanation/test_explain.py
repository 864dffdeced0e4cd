"""masu explain: the page's data against the trace, names that are markup, maps, and the page in a browser.

The browser tests are part of the suite where Chromium is installed (``CHROMIUM`` below is its path); elsewhere
they are not collected, since masu itself needs no browser.
"""

import base64
import html
import io
import json
import re
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import masu
from masu.cli import cli
from masu.data.pixels.images import read_pixels
from masu.detectors.trace import trace
from masu.detectors.zoo import make
from masu.explanation import attribution, explain_maps
from masu.explanation.attribution import by_gradient
from masu.explanation.explain import explain
from masu.explanation.faithfulness import scene
from masu.explanation.funnel import funnel
from masu.exports.exported import ExportedDetector
from tests.detectors.test_detectors import SMALL_RETINANET, SMALL_RPN
from tests.networks import bright_cells, shifted_cells, small_detector, spread

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MARKUP = '</script><b onclick="alert(1)">&amp;'


@pytest.fixture(scope="module")
def detector():
    return small_detector(["coin", MARKUP], image_size=160)


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_the_page_of_data_shows_the_images_that_lost_most(detector, coins, tmp_path):
    data = masu.read_dataset(coins, "train")
    report = explain(detector, data, tmp_path / "new" / "page.html", worst=2)
    lost = [0] * len(data)
    for fate in funnel(detector, data).fates:
        lost[fate.image] += fate.stage != "found"
    wanted = sorted(range(len(data)), key=lambda i: -lost[i])[:2]
    assert report.images == tuple(data[i].image for i in wanted)
    assert report.lost == sum(lost[i] for i in wanted)
    assert report.objects == sum(len(data[i].target) for i in wanted)
    shown = data_of(report.page)
    assert [p["name"] for p in shown["photographs"]] == [path.name for path in report.images]
    assert [len(p["objects"]) for p in shown["photographs"]] == [len(data[i].target) for i in wanted]
    assert report.bytes == report.page.stat().st_size < 4_000_000
    text = report.page.read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", text)


def test_the_page_says_what_the_trace_says(detector, coins, tmp_path):
    path = coins / "images" / "val" / "0.png"
    (photo,) = data_of(explain(detector, path, tmp_path / "page.html").page)["photographs"]
    folded = detector.prediction_network().detector
    with torch.inference_mode():
        raw = folded([read_pixels(path)])
        (traced,) = trace(folded, raw)
    first, final = photo["tables"]
    assert (photo["height"], photo["width"]) == tuple(traced.size.tolist()) == (160, 320)
    assert [level["anchors"] for level in photo["levels"]] == list(raw.counts)
    for table, filtered in ((first, traced.first), (final, traced.last)):
        assert table["count"] == len(filtered.rank)
        assert len(table["kept"]) == len(filtered.kept)
        for column in ("row", "group", "score", "small", "rank", "by"):
            assert len(table[column]) == len(table["box"])
        assert [table["rank"][i] for i in table["kept"]] == list(range(len(table["kept"])))
        assert all(table["rank"][i] >= 0 for i in table["by"] if i >= 0)
        assert all(
            (by >= 0) == (rank < 0 and not small)
            for by, rank, small in zip(table["by"], table["rank"], table["small"], strict=True)
        )
    rows = [final["row"][i] for i in final["kept"]]
    assert rows == traced.last.row[traced.last.kept].tolist()
    found = traced.detections
    assert [final["group"][i] for i in final["kept"]] == found.labels.tolist()
    assert [final["score"][i] for i in final["kept"]] == pytest.approx(found.scores.tolist(), abs=1e-4)
    for proposal, best in enumerate(final["classes"]):
        scores = torch.cat([traced.last.ranking[proposal], traced.last.background[proposal, None]])
        assert [k for k, _ in best] == scores.topk(3).indices.tolist()
    level = photo["levels"][1]
    place = 7 * len(level["cell"]) + 1  # the anchor as the page lays it out
    x, y = 7 % level["grid"][1] * level["steps"][1], 7 // level["grid"][1] * level["steps"][0]
    own = [a + b for a, b in zip(level["cell"][1], (x, y, x, y), strict=True)]
    assert own == raw.anchors[level["first"] + place].tolist()
    assert (photo["objects"], photo["positive"], level["labels"]) == ([], [], None)


@pytest.fixture(scope="module")
def cascade():
    torch.manual_seed(0)
    made = spread(masu.build("cascade_rcnn_lite0_fpn", ["coin", "stone"], "none", image_size=160))
    with torch.no_grad():
        for head in made.heads:
            head.predictor.deltas.weight.mul_(5)  # boxes that lose objects, and some that lose their area
    return made


def test_every_table_starts_from_what_the_one_before_kept(cascade, coins, tmp_path):
    report = explain(cascade, masu.read_dataset(coins, "val"), tmp_path / "page.html", worst=1)
    (photo,) = data_of(report.page)["photographs"]
    names = [table["name"] for table in photo["tables"]]
    assert names == ["proposals", "refinement_1", "refinement_2", "detections"]
    for before, table in pairwise(photo["tables"]):
        assert table["started"] == [before["box"][i] for i in before["kept"]]
        assert sorted(set(table["row"])) == list(range(len(table["started"]))) or table["byClass"]
        assert table["suppresses"] == table["byClass"]
    for table in photo["tables"][1:-1]:
        assert table["classes"] is None
        assert table["rank"] == [table["row"].index(i) for i in table["row"]] == list(range(table["limit"]))


@pytest.mark.parametrize("config", [SMALL_RPN, SMALL_RETINANET])
def test_detectors_of_one_stage_have_pages(config, coins, tmp_path):
    torch.manual_seed(0)
    model = make(config, ["coin"]).eval()
    report = explain(model, masu.read_dataset(coins, "val"), tmp_path / "page.html", worst=1)
    (photo,) = data_of(report.page)["photographs"]
    assert len(photo["tables"]) == 1
    assert (photo["tables"][0]["classes"], photo["tables"][0]["started"]) == (None, None)
    assert len(photo["positive"]) == sum(level["labels"][0] for level in photo["levels"]) > 0
    for level in photo["levels"]:
        assert (
            sum(level["labels"])
            == level["anchors"]
            == len(level["cell"]) * level["grid"][0] * level["grid"][1]
        )


def test_names_that_are_markup_stay_text(detector, coins, tmp_path):
    path = tmp_path / "a<b onclick='x'>&.png"
    shutil.copy(coins / "images" / "val" / "0.png", path)
    page = explain(detector, path, tmp_path / "page.html").page
    text = page.read_text(encoding="utf-8")
    assert "</script><b" not in text
    assert "a<b" not in text
    assert html.escape(path.name, quote=True).replace("&#x27;", "&#39;") in text
    shown = data_of(page)
    assert shown["names"] == ["coin", MARKUP]
    assert shown["photographs"][0]["name"] == path.name


def test_the_maps_of_a_page_by_hand(tmp_path):
    image = np.zeros((48, 64, 3), dtype=np.uint8)
    image[16:24, 24:32, 0] = 191
    Image.fromarray(image).save(tmp_path / "cell.png")
    report = explain(bright_cells((48, 64)), tmp_path / "cell.png", tmp_path / "page.html", saliency=True)
    (photo,) = data_of(report.page)["photographs"]
    assert report.maps == report.detections == 1
    assert photo["tables"][0]["box"][photo["tables"][0]["kept"][0]] == [16, 8, 32, 24]
    (of_box,) = photo["maps"]
    assert of_box["box"] is None  # the box is the anchor, whatever the pixels
    assert (of_box["left"], of_box["elsewhere"]) == (0, False)
    assert of_box["score"]["window"] == [8, 0, 40, 32]
    alpha = picture_of(of_box["score"]["picture"])[..., 3]
    assert alpha.shape == (32, 32)
    assert alpha.max() == round(0.85 * 255)
    assert alpha[17:23, 17:23].min() > 0.4 * alpha.max()
    assert [side.tolist() for side in np.nonzero(alpha)] == [
        side.tolist() for side in np.nonzero(np.pad(alpha[12:28, 12:28], ((12, 4), (12, 4))))
    ]  # the cell, and 4 px of blur


def test_a_page_tells_where_a_map_says_little(tmp_path, monkeypatch):
    monkeypatch.setattr(explain_maps, "MOST_MAPS", 1)
    image = np.zeros((48, 64, 3), dtype=np.uint8)
    image[40:48, 56:64, 0] = 255  # lower right, which the best box, the first of equal ones, is far from
    Image.fromarray(image).save(tmp_path / "cell.png")
    detector = shifted_cells((48, 64))
    report = explain(detector, tmp_path / "cell.png", tmp_path / "page.html", saliency=True)
    (of_box,) = data_of(report.page)["photographs"][0]["maps"]
    assert of_box == {"score": None, "box": None, "left": 0.982, "elsewhere": True}  # the sigmoid of 4


def test_maps_are_few_small_and_only_made_when_asked_for(detector, coins, tmp_path, monkeypatch):
    monkeypatch.setattr(attribution, "GRADIENTS", 1)
    monkeypatch.setattr(explain_maps, "MOST_MAPS", 2)
    path, done = coins / "images" / "val" / "0.png", []
    page = tmp_path / "page.html"
    report = explain(detector, path, page, saliency=True, progress=lambda *of: done.append(of))
    (photo,) = data_of(page)["photographs"]
    assert done == [(1, 2), (2, 2)]
    assert report.maps == len(photo["maps"]) == 2 < report.detections
    pixels = read_pixels(path).float() / 255
    found = detector.predict([pixels])[0]
    for of_box, box, label in zip(photo["maps"], found.boxes, found.labels.tolist(), strict=False):
        values = by_gradient(detector, scene(detector, pixels, box, label), answers=2)
        for name, wanted in zip(("score", "box"), values, strict=True):
            alpha = picture_of(of_box[name]["picture"])[..., 3]
            assert max(alpha.shape) == min(max(wanted.shape), 48)
            x1, y1, x2, y2 = of_box[name]["window"]
            assert (x2 - x1) / (y2 - y1) == pytest.approx(wanted.shape[1] / wanted.shape[0], rel=0.01)
            rows, columns = (
                np.arange(of) * dots // of for of, dots in zip(wanted.shape, alpha.shape, strict=True)
            )
            assert np.corrcoef(alpha[rows][:, columns].flat, wanted.flatten())[0, 1] > 0.95
    assert explain(detector, path, page).maps == 0
    assert data_of(page)["photographs"][0]["maps"] is None
    assert "With <code>--saliency</code> the page also shows" in page.read_text(encoding="utf-8")


def picture_of(address):
    """The dots of a picture in an address, ``(h, w, 4)``."""
    head, coded = address.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(coded))).convert("RGBA")).astype(int)


def test_bad_input_is_said(detector, coins, tmp_path):
    exported = ExportedDetector.__new__(ExportedDetector)  # what it is decides, not what it holds
    page = tmp_path / "page.html"
    with pytest.raises(
        masu.InputError, match=r"^explain: found an exported model, which gives final boxes only"
    ):
        explain(exported, coins / "images" / "val" / "0.png", page)
    with pytest.raises(masu.InputError, match=r"^worst: found 0, wanted a whole number from 1 to 1000; "):
        explain(detector, masu.read_dataset(coins, "val"), page, worst=0)
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    with pytest.raises(masu.InputError, match=r"bad\.png: found a file that is no image"):
        explain(detector, bad, page)
    assert not page.exists()


def test_the_command_writes_the_page(detector, coins, tmp_path):
    model, page = tmp_path / "model.safetensors", tmp_path / "page.html"
    masu.save(detector, model)
    ran = CliRunner().invoke(
        cli, ["explain", str(model), str(coins), "--worst", "1", "--out", str(page), "--json"]
    )
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["page"] == str(page)
    assert "objects lost; open" in ran.stderr
    ran = CliRunner().invoke(
        cli, ["explain", str(model), str(coins / "images" / "val" / "0.png"), "--out", str(page)]
    )
    assert ran.exit_code == 0, ran.output
    assert "masu: 1 image, " in ran.stderr
    assert f"the best {explain_maps.MOST_MAPS} boxes" in CliRunner().invoke(cli, ["explain", "--help"]).output


CATCH = """<script>
window.failures = [];
window.onerror = (message) => failures.push(String(message));
console.error = (...words) => failures.push(words.join(" "));
</script>"""

WALK = """<script>
const text = () => document.getElementById("detail").textContent;
const report = {};
const press = (key, target = document.body) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const laid = () => document.querySelector("#picture image.map");
const stage = () => $("stage").getAttribute("aria-valuetext");
for (const tick of $("ticks").children) { tick.click(); }
for (let i = 0; i <= $("stage").max; i++) { $("stage").value = i; $("stage").oninput(); }
report.stages = [stage()];
press("ArrowLeft"); report.stages.push(stage());
press("ArrowRight"); press("ArrowRight"); report.stages.push(stage());
press("ArrowLeft", $("best")); report.stages.push(stage());
for (let i = 0; i < photo.levels.length; i++) { $("level").value = i; draw(); }
$("ticks").lastChild.click();
$("best").value = 1; $("best").oninput();
const target = last().kept[0], box = last().box[target];
const frame = $("picture").getBoundingClientRect();
const at = (x, y) => $("picture").dispatchEvent(new MouseEvent("click", {
  clientX: frame.left + x / photo.width * frame.width, clientY: frame.top + y / photo.height * frame.height, bubbles: true }));
photo.objects = photo.objects.filter(() => false);
at((box[0] + box[2]) / 2, (box[1] + box[3]) / 2);
report.clicked = text();
const href = laid().getAttribute("href");
report.laid = [href === photo.maps[0].score.picture, laid().getAttribute("opacity"), document.querySelectorAll("#picture image.grey").length, document.querySelectorAll("#picture g").length];
const choices = document.querySelectorAll("#map input");
choices[1].click(); report.box = laid().getAttribute("href") === photo.maps[0].box.picture;
$("opacity").value = 40; $("opacity").oninput(); report.opacity = laid().getAttribute("opacity");
choices[2].click(); report.off = laid();
report.marks = document.querySelectorAll("#picture g").length;
choices[0].click(); report.on = laid() !== null;
document.querySelectorAll("#finals button")[2].click(); report.beyond = [laid(), $("map-said").textContent];
document.querySelectorAll("#finals button")[0].click();
report.pressed = document.querySelectorAll("#finals [aria-pressed=true]").length;
for (const button of document.querySelectorAll("#finals button")) {
  button.click();
  const next = document.querySelector("#detail .jump");
  if (next) { next.focus(); next.click(); break; }
}
report.focus = document.activeElement.id;
press("Escape");
report.gone = laid();
report.escaped = text();
document.querySelectorAll("#photographs input")[1].click();
document.querySelector("#objects button").click();
report.object = text();
report.injected = document.querySelectorAll("[onclick]").length;
report.failures = failures;
document.body.append(element("pre", { id: "result" }, JSON.stringify(report)));
</script></body>"""

FOLLOW = """<script>
const report = { wrong: [], followed: 0, stages: [...$("ticks").children].map((tick) => tick.textContent) };
for (let i = 0; i < report.stages.length; i++) { show(i); }
for (const input of document.querySelectorAll("#photographs input")) {
  input.click();
  const all = photo.objects.map((o, index) => ({ kind: "object", index }));
  photo.tables.forEach((t, table) => t.box.slice(0, 60).forEach((box, index) => all.push({ kind: "box", table, index })));
  for (const target of all) {
    choose(target);
    report.followed += 1;
    const said = $("detail").textContent + $("hint").textContent;
    if (/NaN|undefined|null/.test(said) || !/Anchor \\d/.test(said)) report.wrong.push(said);
  }
}
document.querySelectorAll("#finals button")[0].click();
report.first = $("detail").textContent;
report.failures = failures;
document.body.append(element("pre", { id: "result" }, JSON.stringify(report)));
</script></body>"""
TITLES = ("RoI of proposal ", "moved twice", "moved once", "Decoded box, objectness", "Anchor ")

if CHROMIUM:

    def test_in_a_browser_a_click_follows_a_box(detector, coins, tmp_path, monkeypatch):
        monkeypatch.setattr(attribution, "GRADIENTS", 1)
        monkeypatch.setattr(explain_maps, "MOST_MAPS", 2)
        data = masu.read_dataset(coins, "train")
        page = explain(detector, data, tmp_path / "page.html", worst=2, saliency=True).page
        text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{CATCH}").replace("</body>", WALK)
        page.write_text(text, encoding="utf-8")
        dom = opened(page, tmp_path)
        report = json.loads(html.unescape(re.search(r'<pre id="result">(.*?)</pre>', dom, re.S)[1]))
        assert report["failures"] == []
        assert re.match(r"Box \d+ × \d+ px", report["clicked"])
        for step in ("RoI of proposal", "Decoded box, objectness", "Anchor ", "Number 1 of "):
            assert step in report["clicked"]
        assert (report["marks"], report["pressed"]) == (3, 1)
        assert report["stages"] == [
            "8 of 8: Final boxes",
            "7 of 8: Class boxes",
            "8 of 8: Final boxes",
            "8 of 8: Final boxes",  # arrows in a slider are the slider's
        ]
        assert report["laid"] == [True, "1", 1, 1]  # the class score over grey, and the final box alone
        assert (report["box"], report["opacity"], report["off"], report["on"]) == (True, "0.4", None, True)
        assert report["beyond"] == [None, "Choose one of the best 2 final boxes to see what it rests on."]
        assert report["gone"] is None
        assert report["focus"] == "detail"  # the button that was followed is gone with what it stood beside
        assert report["escaped"].startswith("Nothing chosen")
        assert report["object"].startswith("Object 0: coin")
        assert report["injected"] == 0  # the class that is markup has become text

    def test_in_a_browser_every_box_of_a_cascade_is_followed(cascade, coins, tmp_path):
        page = explain(cascade, masu.read_dataset(coins, "train"), tmp_path / "page.html", worst=2).page
        text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{CATCH}").replace("</body>", FOLLOW)
        page.write_text(text, encoding="utf-8")
        dom = opened(page, tmp_path)
        report = json.loads(html.unescape(re.search(r'<pre id="result">(.*?)</pre>', dom, re.S)[1]))
        assert report["failures"] == report["wrong"] == []
        assert report["stages"][5:] == [
            "Proposals",
            "Moved once",
            "Moved twice",
            "Class boxes",
            "Final boxes",
        ]
        assert report["followed"] > 400
        places = [report["first"].index(title) for title in TITLES]
        assert places == sorted(places)

    def opened(page, folder):
        """The page's elements as they are when its scripts have run."""
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-sync",
        ]
        flags += ["--disable-background-networking", "--disable-component-update", "--window-size=1200,900"]
        command = [
            CHROMIUM,
            *flags,
            f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=4000",
            "--dump-dom",
            page.as_uri(),
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
