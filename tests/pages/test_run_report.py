"""A run's report.html is no other page's place."""

import pytest
from click.testing import CliRunner

import masu
from masu.cli import cli
from masu.errors import InputError
from masu.pages.page import put_page
from masu.pages.run_report import is_run_report
from masu.verbs.explain import explain


@pytest.fixture
def run(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    (tmp_path / "report.html").write_text("the run")
    return tmp_path


def test_a_report_of_a_run_is_known_by_its_name_and_what_lies_beside(run, tmp_path):
    assert is_run_report(run / "report.html")
    assert not is_run_report(run / "explain.html")
    assert not is_run_report(run / "elsewhere" / "report.html")


def test_no_page_takes_its_place(run):
    with pytest.raises(InputError) as caught:
        put_page(run / "report.html", "another")
    assert (caught.value.thing, caught.value.found, caught.value.fix) == (
        str(run / "report.html"),
        "the report of a training run",
        "choose another name",
    )
    done = CliRunner().invoke(cli, ["check", "nothing", "--report", str(run / "report.html")])
    assert done.exit_code != 0
    assert (run / "report.html").read_text() == "the run"


def test_explain_beside_a_run_writes_another_page(run, coins, monkeypatch):
    monkeypatch.chdir(run)
    detector = masu.build("faster_rcnn_lite0_fpn", ["coin"], "none", image_size=64)
    image = coins / "images" / "val" / "0.png"
    assert explain(detector, image).page.name == "explain.html"
    assert (run / "report.html").read_text() == "the run"
    (run / "metrics.jsonl").unlink()
    assert explain(detector, image).page.name == "report.html"
