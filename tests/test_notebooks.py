"""The notebooks in examples/ run from their first cell to their last, and are stored without what they print."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
SHOWN = {  # what each must have shown, by the kind of output
    "backpropagation": {"stream", "image/svg+xml", "image/png"},
    "graph": {"stream", "image/svg+xml", "text/html"},
    "higher_order": {"stream", "image/png"},
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = {kind for output in outputs for kind in output.get("data", {output.output_type: None})}
    assert SHOWN[path.stem] <= shown
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr" and "Warning" in output.text]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells and all([not cell.outputs and cell.execution_count is None for cell in cells])
    assert path.name in (ROOT / "docs" / "examples.md").read_text()
