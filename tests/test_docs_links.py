"""Pages that can be read: links lead somewhere, and every page is reached from the README and the site."""

import re
from pathlib import Path

import pytest
import yaml

import masu

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *DOCS.glob("*.md")]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)


def links(page):
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    return [link for link in LINK.findall(text) if "://" not in link]


def anchors(page):
    """The headings of a page as GitHub names them."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = page if not file else page.parent / file
        assert target.exists(), f"{page.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name}: {link}"


def test_links_of_the_site_stay_in_it():
    for page in DOCS.glob("*.md"):
        assert not [link for link in links(page) if link.startswith("..")], page.name


def test_every_page_is_reached_from_the_readme():
    linked = set(links(ROOT / "README.md"))
    own = {"index.md", "index.ja.md", "reference.md"}  # start pages, and what is made of docstrings
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md") if page.name not in own} <= linked


def named(entries):
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from [value] if isinstance(value, str) else named(value)


def test_every_page_is_in_the_sites_navigation():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = list(named(site["nav"]))
    assert sorted(pages) == sorted(page.name for page in DOCS.glob("*.md"))


def test_the_reference_has_every_public_name():
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^::: masu\.(\w+)$", text, re.MULTILINE))
    assert listed == set(masu.__all__) - {"ops"}
