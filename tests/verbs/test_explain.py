"""masu explain: the page's data against the trace, names that are markup, and the page in a browser.

The browser tests are part of the suite where Chromium is installed (``CHROMIUM`` below is its path); elsewhere
they are not collected, since masu itself needs no browser.
"""

import html
import json
import re
import shutil
import subprocess

import pytest
import torch
from click.testing import CliRunner

import masu
from masu.cli import cli
from masu.data.bands import read_pixels
from masu.detectors.build import make
from masu.detectors.trace import trace
from masu.verbs.explain import explain
from masu.verbs.exported import ExportedDetector
from masu.verbs.funnel import funnel
from tests.detectors.test_detectors import SMALL_RETINANET, SMALL_RPN
from tests.networks import spread

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MARKUP = '</script><b onclick="alert(1)">&amp;'


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    return spread(masu.build("faster_rcnn_lite0_fpn", ["coin", MARKUP], "none", image_size=160))


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_the_page_of_data_shows_the_images_that_lost_most(detector, coins, tmp_path):
    data = masu.read_dataset(coins, "train")
    report = explain(detector, data, tmp_path / "new" / "page.html", most=2)
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
    folded = detector.folded()
    with torch.inference_mode():
        raw = folded([read_pixels(path)])
        (traced,) = trace(folded, raw)
    first, final = photo["tables"]
    assert (photo["height"], photo["width"]) == tuple(traced.size.tolist()) == (160, 320)
    assert [level["anchors"] for level in photo["levels"]] == list(raw.levels)
    for table, filtered in ((first, traced.anchors.filtered), (final, traced.last)):
        assert table["count"] == len(filtered.rank)
        assert len(table["kept"]) == len(filtered.kept)
        for column in ("row", "group", "score", "state", "rank", "by"):
            assert len(table[column]) == len(table["box"])
        assert [table["rank"][i] for i in table["kept"]] == list(range(len(table["kept"])))
        assert all(table["rank"][i] >= 0 for i in table["by"] if i >= 0)
        assert all(
            (by >= 0) == (rank < 0 and not state)
            for by, rank, state in zip(table["by"], table["rank"], table["state"], strict=True)
        )
    rows = [final["row"][i] for i in final["kept"]]
    assert rows == traced.last.candidates.row[traced.last.kept].tolist()
    found = traced.detections
    assert [final["group"][i] for i in final["kept"]] == found.labels.tolist()
    assert [final["score"][i] for i in final["kept"]] == pytest.approx(found.scores.tolist(), abs=1e-4)
    for proposal, best in enumerate(photo["classes"]):
        scores = traced.rois.scores[proposal]
        assert [k for k, _ in best] == scores.topk(3).indices.tolist()
    level = photo["levels"][1]
    place = 7 * len(level["cell"]) + 1  # the anchor as the page lays it out
    x, y = 7 % level["grid"][1] * level["steps"][1], 7 // level["grid"][1] * level["steps"][0]
    own = [a + b for a, b in zip(level["cell"][1], (x, y, x, y), strict=True)]
    assert own == raw.anchors[level["first"] + place].tolist()
    assert (photo["objects"], photo["positive"], level["labels"]) == ([], [], None)


@pytest.mark.parametrize("config", [SMALL_RPN, SMALL_RETINANET])
def test_detectors_of_one_stage_have_pages(config, coins, tmp_path):
    torch.manual_seed(0)
    model = make(config, ["coin"]).eval()
    report = explain(model, masu.read_dataset(coins, "val"), tmp_path / "page.html", most=1)
    (photo,) = data_of(report.page)["photographs"]
    assert len(photo["tables"]) == 1
    assert (photo["classes"], photo["proposals"]) == (None, None)
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


def test_bad_input_is_said(detector, coins, tmp_path):
    exported = ExportedDetector.__new__(ExportedDetector)  # what it is decides, not what it holds
    page = tmp_path / "page.html"
    with pytest.raises(
        masu.InputError, match=r"^explain: found an exported model, which gives final boxes only"
    ):
        explain(exported, coins / "images" / "val" / "0.png", page)
    with pytest.raises(masu.InputError, match=r"^most: found 0, wanted 1 or more images"):
        explain(detector, masu.read_dataset(coins, "val"), page, most=0)
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    with pytest.raises(masu.InputError, match=r"bad\.png: found a file that is no image"):
        explain(detector, bad, page)
    assert not page.exists()


def test_the_command_writes_the_page(detector, coins, tmp_path):
    model, page = tmp_path / "model.safetensors", tmp_path / "page.html"
    masu.save(detector, model)
    ran = CliRunner().invoke(
        cli, ["explain", str(model), str(coins), "--images", "1", "--out", str(page), "--json"]
    )
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["page"] == str(page)
    assert "objects lost; open" in ran.stderr
    ran = CliRunner().invoke(
        cli, ["explain", str(model), str(coins / "images" / "val" / "0.png"), "--out", str(page)]
    )
    assert ran.exit_code == 0, ran.output
    assert "1 images" in ran.stderr


CATCH = """<script>
window.failures = [];
window.onerror = (message) => failures.push(String(message));
console.error = (...words) => failures.push(words.join(" "));
</script>"""

WALK = """<script>
const text = () => document.getElementById("detail").textContent;
const report = {};
for (const input of document.querySelectorAll("#views input")) { input.click(); }
for (let i = 0; i < photo.levels.length; i++) { $("level").value = i; draw(); }
document.querySelectorAll("#views input")[document.querySelectorAll("#views input").length - 1].click();
$("best").value = 1; $("best").oninput();
const target = last().kept[0], box = last().box[target];
const frame = $("picture").getBoundingClientRect();
const at = (x, y) => $("picture").dispatchEvent(new MouseEvent("click", {
  clientX: frame.left + x / photo.width * frame.width, clientY: frame.top + y / photo.height * frame.height, bubbles: true }));
photo.objects = photo.objects.filter(() => false);
at((box[0] + box[2]) / 2, (box[1] + box[3]) / 2);
report.clicked = text();
report.marks = document.querySelectorAll("#picture g").length;
report.pressed = document.querySelectorAll("#finals [aria-pressed=true]").length;
document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
report.escaped = text();
document.querySelectorAll("#photographs input")[1].click();
document.querySelector("#objects button").click();
report.object = text();
report.injected = document.querySelectorAll("[onclick]").length;
report.failures = failures;
document.body.append(element("pre", { id: "result" }, JSON.stringify(report)));
</script></body>"""

if CHROMIUM:

    def test_in_a_browser_a_click_follows_a_box(detector, coins, tmp_path):
        page = explain(detector, masu.read_dataset(coins, "train"), tmp_path / "page.html", most=2).page
        text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{CATCH}").replace("</body>", WALK)
        page.write_text(text, encoding="utf-8")
        dom = opened(page, tmp_path)
        report = json.loads(html.unescape(re.search(r'<pre id="result">(.*?)</pre>', dom, re.S)[1]))
        assert report["failures"] == []
        assert re.match(r"Box \d+ × \d+ px", report["clicked"])
        for step in ("RoI of proposal", "Decoded box, objectness", "Anchor ", "Number 1 of "):
            assert step in report["clicked"]
        assert (report["marks"], report["pressed"]) == (3, 1)
        assert report["escaped"].startswith("Nothing chosen")
        assert report["object"].startswith("Object 0: coin")
        assert report["injected"] == 0  # the class that is markup has become text

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
