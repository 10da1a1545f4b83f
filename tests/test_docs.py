"""The Python in the documentation runs: the chapters' cells, and the fenced blocks of README.md and the other pages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "learn").glob("*.md"))]
BLOCK = re.compile(r"^```(?:python|\{code-cell\}[^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REFUSED = ":tags: [raises-exception]\n"


def program(text: str) -> str:
    """The blocks of a page, one after the other; those that show an error must raise one."""
    parts = ["import matplotlib; matplotlib.use('agg')"]
    for block in BLOCK.findall(text):
        code = re.sub(r"\A(:.*\n)+", "", block)
        if REFUSED in block:
            lines = "".join(f"    {line}\n" for line in code.strip().splitlines())
            code = f"try:\n{lines}except Exception as refused: print(refused)\nelse: raise AssertionError('nothing was refused')"
        parts.append(code)
    return "\n".join(parts)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_code_runs(page, tmp_path):
    text = page.read_text()
    if not BLOCK.search(text):
        assert "```{code-cell}" not in text and "```python" not in text
        return
    places = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    run = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", program(text)], capture_output=True, text=True, cwd=tmp_path, timeout=120,
        env=os.environ | {"PYTHONPATH": places},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_chapters_are_linked():
    """Every chapter is in the contents, and every link between pages leads to one."""
    index = (ROOT / "docs" / "index.md").read_text()
    assert all([f"learn/{page.stem}\n" in index for page in (ROOT / "docs" / "learn").glob("*.md")])
    for page in (ROOT / "docs" / "learn").glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+\.md)\)", page.read_text()):
            made_later = target.startswith("../reference/") or target == "../performance.md"
            assert made_later or (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_reference_lists_what_there_is(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import reference

    reference.write(tmp_path)
    functions = (tmp_path / "functions.md").read_text()
    assert ".. autofunction:: chainrule.matmul" in functions and functions.count("autofunction") > 300
    layers = (tmp_path / "nn.md").read_text()
    assert ".. autoclass:: chainrule.nn.Linear" in layers and layers.count("autoclass") > 120
    assert {path.stem for path in tmp_path.glob("*.md")} == {"index", "tensor", "functions", *reference.ROOMS}
    (tmp_path / "old.md").write_text("gone")
    reference.write(tmp_path)
    assert not (tmp_path / "old.md").exists()


def test_make_docs_installs_what_it_needs():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["docs"]
    named = " ".join(extras)
    for extension in ("furo", "myst-nb", "sphinx", "sphinx-copybutton", "sphinx-mathjax-offline"):
        assert extension in named
