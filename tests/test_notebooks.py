"""The notebooks of examples/notebooks: their code runs from the top to the bottom, in a folder of its own."""

import ast
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SHORTER = {"time_budget=5, ": "time_budget=2, ", "time_budget=4, ": "time_budget=2, "}


def cells(notebook):
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def run(source, values):
    """Run a cell as a notebook does; what its last line is worth, if it is an expression."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), values)
    return last and eval(compile(ast.Expression(last.value), "cell", "eval"), values)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_its_cells_run_in_order(notebook, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(FOLDER)
    values, shown = {}, []
    for cell in cells(notebook):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            for written, run_here in SHORTER.items():
                source = source.replace(written, run_here)
            shown.append(run(source, values))
    pictures = [one for one in shown if one is not None]
    assert [picture.size for picture in pictures] == [values["coins"].SIZE]
    said = capsys.readouterr().out
    for page in ("found/index.html", "way.html"):
        assert Path(page).exists() == (f"open {page}" in said)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_nothing_of_a_run_is_kept_in_it(notebook):
    code = [cell for cell in cells(notebook) if cell["cell_type"] == "code"]
    assert code
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
