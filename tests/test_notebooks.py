"""The notebooks of the tutorials run, and say what their text says."""

import re

import keras
import nbformat
import pytest
from doc_pages import NOTEBOOKS
from doc_pages import run_notebook

notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


@notebook
def test_what_is_stored_is_of_one_run(path):
    """All cells, in order, without an error or a path of some machine."""
    cells = nbformat.read(path, as_version=4).cells
    codes = [cell for cell in cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in codes]
    assert counts == [*range(1, len(codes) + 1)], "run `make notebooks`"
    outputs = [output for cell in codes for output in cell.outputs]
    assert outputs and all(o.output_type != "error" for o in outputs)
    assert not re.search(r"/(home|root|tmp|work|Users)/", str(outputs))


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda p: p.stem)
def run(request, tmp_path_factory):
    """Name, folder and output of a notebook that was run here."""
    name = request.param.stem
    folder = tmp_path_factory.mktemp(name)
    text = run_notebook(request.param, folder)
    return name, folder / "docs" / "notebooks", text


@pytest.mark.slow
@pytest.mark.skipif(keras.config.backend() != "torch", reason="trains")
def test_it_says_what_its_text_says(run):
    name, folder, text = run
    CHECKS[name](folder, text)


def twisted_bilayer(folder, text):
    assert "turned by 21.79°, strained by 0.0%" in text
    assert "moved together; here they do not" in text
    expected, observed = numbers(r"([\d.]+) meV", text)
    assert 0.1 < observed < 0.4 and 0.3 < expected / observed < 3
    # The cones of two layers, at K.
    levels = re.search(r"array\(\[(.*?)\]\)", text, re.S)[1]
    energies = [float(x) for x in levels.split(",")]
    assert sum(abs(energy) < 0.1 for energy in energies) == 4
    assert (folder / "runs" / "twisted.png").exists()


def your_calculations(folder, text):
    for words in ("1 clean", "MAE_cha", "(13, 13)", "off by"):
        assert words in text
    for file in (
        "graphene/graphene.keras",
        "graphene/report.json",
        "bands.pdf",
        "predicted/hamiltonians_pred.h5",
        "new.npz",
        "primitive_hr.dat",
    ):
        assert (folder / "runs" / file).exists(), file


def correction_of_h0(folder, text):
    sizes = re.search(r"mean \|H - H⁰ - μS\| ([\d.]+) meV, μ (\S+)", text)
    mean, shift = map(float, sizes.groups())
    assert mean == pytest.approx(8.3, abs=0.7)
    assert shift == pytest.approx(-1.49, abs=0.01)
    (as_it_is,) = numbers(r"^mae_all ([\d.]+) meV", text)
    (shifted,) = numbers(r"^gauge_free_mae ([\d.]+) meV", text)
    assert shifted <= as_it_is < 8
    assert (folder / "runs/predictions/050/hamiltonians_pred.h5").exists()


def fine_tuning(folder, text):
    (tuned,) = numbers(r"^from graphene: ([\d.]+) meV", text)
    (new,) = numbers(r"^from nothing: ([\d.]+) meV", text)
    # 6.2 and 10.0 meV.
    assert tuned < 0.8 * new


def your_own_layer(folder, text):
    # The last cell: what is left of the symmetry.
    assert float(text.splitlines()[-1]) < 1e-4
    assert "Prediction(" in text and (folder / "my_module.py").exists()


def numbers(pattern, text):
    return [float(x) for x in re.findall(pattern, text, re.M)]


CHECKS = {
    check.__name__: check
    for check in (
        twisted_bilayer,
        your_calculations,
        correction_of_h0,
        fine_tuning,
        your_own_layer,
    )
}


def test_every_notebook_has_a_check():
    assert {path.stem for path in NOTEBOOKS} == set(CHECKS)
