"""Text of pages; notebooks, run from the first cell to the last."""

import os
import pathlib
import sys

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("docs/notebooks/*.ipynb"))


def page_text(path):
    """A page as Markdown; code of a notebook stands between fences."""
    if path.suffix != ".ipynb":
        return path.read_text()
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(
        cell.source
        if cell.cell_type == "markdown"
        else f"```python\n{cell.source}\n```"
        for cell in cells
    )


def run_notebook(path, folder):
    """What a notebook prints, run in a folder with the repository's data.

    Args:
        path: path of the notebook.
        folder: path. Of an empty folder; what the notebook writes is in
            `docs/notebooks` of it.

    Returns:
        Str. All that its cells printed or returned.
    """
    for name in ("recipes", "tests"):
        (folder / name).symlink_to(ROOT / name)
    place = folder / "docs" / "notebooks"
    place.mkdir(parents=True)
    notebook = nbformat.read(path, as_version=4)
    programs = pathlib.Path(sys.executable).parent
    with pytest.MonkeyPatch.context() as patch:
        # Commands of the shell, and the package of this clone.
        patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("PYTHONPATH", str(ROOT))
        client = nbclient.NotebookClient(
            notebook,
            timeout=900,
            resources={"metadata": {"path": str(place)}},
        )
        client.execute()
    outputs = [x for cell in notebook.cells for x in cell.get("outputs", ())]
    return "\n".join(
        x.get("text") or x.get("data", {}).get("text/plain", "")
        for x in outputs
    )
