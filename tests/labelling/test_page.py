"""The page of `masu label`: its files fit together and keep to its content security policy; its laws hold."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest

PAGE = Path(str(resources.files("masu.labelling"))) / "page"
SCRIPTS = sorted(PAGE.glob("*.js"))
LAWS = sorted((Path(__file__).parent / "page").glob("*.test.mjs"))
NODE = shutil.which("node")


class Elements(HTMLParser):
    """All elements of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def elements():
    return Elements((PAGE / "index.html").read_text("utf-8")).found


@pytest.fixture(scope="module")
def ids(elements):
    return [attributes["id"] for _, attributes in elements if "id" in attributes]


def test_nothing_on_the_page_is_inline_or_from_elsewhere(elements):
    for tag, attributes in elements:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")], attributes
        assert tag != "script" or attributes.get("src", "").startswith("/static/")
        for name in ("src", "href"):
            assert attributes.get(name, "/").startswith(("/", "#", "data:,")), attributes
    assert "url(" not in (PAGE / "style.css").read_text("utf-8").replace('url("#hatch")', "")


def test_every_file_that_the_page_names_is_there(elements):
    named = {
        a[key].removeprefix("/static/")
        for _, a in elements
        for key in ("src", "href")
        if a.get(key, "")[:8] == "/static/"
    }
    assert named == {"style.css", "main.js"}
    assert all((PAGE / name).is_file() for name in named)


def test_elements_that_are_referred_to_exist_once(elements, ids):
    assert len(ids) == len(set(ids))
    for _, attributes in elements:
        for name in ("aria-labelledby", "aria-describedby", "aria-controls", "for"):
            assert set(attributes.get(name, "").split()) <= set(ids), attributes


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_strangers_names_never_become_markup(script):
    text = script.read_text("utf-8")
    assert text.startswith("/**")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", text
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_imports_exist_and_point_at_files_of_the_page(script):
    text = script.read_text("utf-8")
    for names, source in re.findall(r"^import \{([^}]*)\} from \"([^\"]+)\";", text, re.M):
        other = (PAGE / source).read_text("utf-8")
        exported = set(re.findall(r"^export (?:async )?(?:function|const|class) (\w+)", other, re.M))
        wanted = {name.strip() for name in names.split(",") if name.strip()}
        assert wanted <= exported, (source, wanted - exported)
        body = text.replace(f"{{{names}}}", "")
        assert [name for name in wanted if not re.search(rf"\b{name}\b", body)] == [], "imported for nothing"


def test_scripts_look_for_elements_that_the_page_has(ids):
    for script in SCRIPTS:
        wanted = set(re.findall(r"\bfind\(\"([\w-]+)\"\)", script.read_text("utf-8")))
        assert wanted <= set(ids), (script.name, wanted - set(ids))


def test_every_button_does_something(elements):
    text = (PAGE / "main.js").read_text("utf-8")
    actions = {attributes["data-action"] for _, attributes in elements if "data-action" in attributes}
    assert [name for name in sorted(actions) if f"      {name}: () =>" not in text] == []


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed: the page's laws are not run")
@pytest.mark.parametrize("laws", LAWS, ids=lambda path: path.name)
def test_laws_of_the_modules_that_need_no_browser(laws, tmp_path):
    for script in SCRIPTS:
        shutil.copy(script, tmp_path)
    shutil.copy(laws, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}', "utf-8")
    run = subprocess.run(
        [NODE, "--test", laws.name], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stdout + run.stderr
