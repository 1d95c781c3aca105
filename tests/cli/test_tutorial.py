"""The tutorials do what they say, block by block."""

import json
import re

import numpy as np
import pytest
from doc_pages import ROOT
from doc_pages import run_page

TUTORIAL = ROOT / "docs" / "tutorial.md"
ZEROTH_STEP = ROOT / "docs" / "zeroth_step.md"


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """The folder after all blocks, and what they printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    return folder, run_page(TUTORIAL, folder)


@pytest.mark.slow
def test_promised_files_are_there(tutorial):
    folder, _ = tutorial
    promised = set(re.findall(r"tutorial/[\w./-]+", TUTORIAL.read_text()))
    missing = [name for name in promised if not (folder / name).exists()]
    assert len(promised) > 15 and not missing


@pytest.mark.slow
def test_commands_say_what_the_text_says(tutorial):
    _, printed = tutorial
    for words in ("1 clean", "bands meet the Fermi level", "MAE_cha", "off by"):
        assert words in printed
    # No block, and no command, was left out.
    assert printed.count("Fermi level: ") == 5


def test_lines_are_few():
    assert len(TUTORIAL.read_text().splitlines()) <= 130


@pytest.mark.slow
def test_corrections_of_h0(tmp_path):
    printed = run_page(ZEROTH_STEP, tmp_path)
    sizes = re.search(r"mean \|H - H⁰ - μS\| ([\d.]+) meV, μ (\S+)", printed)
    mean, shift = map(float, sizes.groups())
    assert mean == pytest.approx(8.3, abs=0.7), printed
    assert shift == pytest.approx(-1.49, abs=0.01)
    promised = re.findall(r"zeroth_step/[\w./]+\w", ZEROTH_STEP.read_text())
    missing = [name for name in promised if not (tmp_path / name).exists()]
    assert len(promised) > 8 and not missing
    # A prediction that was written, and one made on the way.
    written, made = (
        np.array(json.loads((tmp_path / file).read_text())["energies"])
        for file in ("zeroth_step/bands.json", "zeroth_step/model_bands.json")
    )
    assert np.allclose(written, made, atol=1e-5)
