"""Trained models of the package: from the name to errors like the card's."""

import pathlib

import keras
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.models.presets import FOLDER
from keras_hamiltonian.models.presets import read_card
from keras_hamiltonian.prediction import predict_hamiltonian

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
NAMES = [
    "bi2se3",
    "bi2te3",
    "bilayer_graphene",
    "bismuthene",
    "graphene",
    "mos2",
]


def held_out(name):
    """A test structure of the small set."""
    split = kh.data.Split.read(DATA / f"{name}.split.json")
    return kh.HamiltonianStore(DATA / f"{name}.h5")[split.test[0]]


def error(model, known, atoms):
    """Of the blocks predicted for atoms, in meV."""
    errors = kh.metrics.MatrixErrors(model.basis)
    pairs = known.hamiltonian.atom_pairs
    predicted = predict_hamiltonian(model, atoms, pairs)
    errors.update(predicted, known)
    return 1000 * errors.result()["mae_all"]


def test_cards():
    cards = kh.models.Stage.presets
    assert sorted(cards) == NAMES
    for name, card in cards.items():
        assert card["license"] == "Apache-2.0" and card["data"]
        assert name in card["command"]
        assert card["errors"]["test structures"]["mae_all"] > 0
    size = sum(file.stat().st_size for file in FOLDER.rglob("*.*"))
    assert size < 15e6


# Elsewhere one without and one with spin: the layers are the same.
@pytest.mark.parametrize(
    "name",
    NAMES if keras.config.backend() == "torch" else ["bismuthene", "graphene"],
)
def test_held_out_errors_are_those_of_the_card(name):
    known = held_out(name)
    model = kh.models.from_preset(name)
    card = kh.models.Stage.presets[name]
    expected = card["errors"]["test structures"]["mae_all"]
    assert model.overlap is not None and not model.takes_initial
    assert card["basis"] == model.basis.to_dict()
    found = error(model, known, known.atoms)
    assert found == pytest.approx(expected, rel=0.6)
    # A control: matrices of atoms elsewhere are further away.
    moved = known.atoms.copy()
    moved.rattle(0.04, seed=1)
    assert error(model, known, moved) > 2 * found


def test_a_name_that_is_not_there():
    with pytest.raises(ValueError, match="graphite.*bi2se3.*graphene.*mos2"):
        kh.predict("graphite", None)
    with pytest.raises(ValueError, match="EquivariantStage, not TransformerS"):
        kh.models.TransformerStage.from_preset("graphene")


def test_a_folder_of_ones_own(tmp_path):
    """Card, and the model without its optimizer."""
    store = kh.HamiltonianStore(DATA / "reference_graphene.h5")
    stage = small_stage(store)
    stage.compile("adam", loss=kh.losses.BlockMeanAbsoluteError())
    stage.optimizer.build(stage.trainable_variables)
    folder = stage.save_to_preset(tmp_path / "mine", "Words.", license="MIT")
    card = read_card(folder / "README.md")
    assert card["license"] == "MIT" and card["basis"] == {"C": "2s 2p 1d"}
    assert (folder / "README.md").read_text().endswith("---\n\nWords.")
    again = kh.models.Stage.from_preset(folder)
    stage.save(tmp_path / "whole.keras")
    size = (folder / "model.keras").stat().st_size
    assert size < 0.6 * (tmp_path / "whole.keras").stat().st_size
    atoms = store.atoms(0)
    found = [kh.predict(m, atoms).hamiltonian for m in (stage, again)]
    assert found[0] == found[1]
