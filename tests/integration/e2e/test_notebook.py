"""The notebook runs from top to bottom."""

import pytest

from engine.backends.base import installed

pytestmark = pytest.mark.slow


@pytest.mark.skipif(not installed("nbclient") or not installed("ipykernel"), reason="nbclient or ipykernel is missing")
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs_from_top_to_bottom(root, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(root / "examples" / "attention.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(root / "examples")}}).execute()
    said = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output
    )
    assert "same output: True" in said
    assert "layer3.attention" in said
