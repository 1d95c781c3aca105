"""`predict` and `bands` say what is not certain."""

import json

import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.physics import BandStructure

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new shape is compiled"
)


@pytest.fixture(scope="module")
def store(data_folder):
    return kh.HamiltonianStore(data_folder / "graphene.h5")


@pytest.fixture(scope="module")
def model(store, tmp_path_factory):
    stage = small_stage(store, 4)
    stage.error_estimate = kh.evaluation.fit_error_estimate(
        stage, (store[k] for k in range(4)), (store[k] for k in (4, 5))
    )
    path = tmp_path_factory.mktemp("model") / "model.keras"
    stage.save(path)
    return path


def test_predict_prints_and_writes(command, folder, model, store):
    store[6].atoms.write("usual.cif")
    text = command("predict", model, "usual.cif", "--uncertainty").stdout
    assert "expected error:" in text and "of the blocks of C" in text
    file = folder / "predictions" / "usual.uncertainty.json"
    expected = json.loads(file.read_text())["expected_errors"]
    assert len(expected["atoms"]) == len(store[6].atoms)
    assert min(expected["atoms"]) < expected["mae"] < max(expected["atoms"])


def test_warnings_need_no_option(command, folder, model, store):
    strained = store[6].atoms
    strained.set_cell(strained.cell * [1.06, 1.06, 1], scale_atoms=True)
    strained.write("strained.cif")
    text = command("predict", model, "strained.cif").stdout
    assert "Warning (environment): 18 of 18 atoms" in text
    assert "expected error" not in text
    file = folder / "predictions" / "strained.uncertainty.json"
    found = json.loads(file.read_text())
    assert found["expected_errors"] is None
    kinds = {warning["kind"] for warning in found["warnings"]}
    assert {"environment", "pairs"} <= kinds


def test_bands_have_errors(command, folder, model, store, data_folder):
    # A graphene whose overlap comes with it, so that levels are compared.
    graphene = data_folder / "graphene.h5"
    words = ("bands", graphene, "--name", "050", "--path", "GM", "--points", 4)
    command(*words, "--model", model, "--uncertainty", "-o", "a.json")
    found = BandStructure.load(folder / "a.json")
    assert found.errors.shape == found.energies.shape
    assert (found.errors > 0).all()
    command(*words, "--model", model, "-o", "b.json")
    plain = BandStructure.load(folder / "b.json")
    assert plain.errors is None
    np.testing.assert_allclose(plain.energies, found.energies, atol=1e-6)
    sizes = [(folder / f"{x}.png").stat().st_size for x in "ab"]
    assert sizes[0] != sizes[1]
    command(*words, "--uncertainty", "-o", "c.json", code=2)
