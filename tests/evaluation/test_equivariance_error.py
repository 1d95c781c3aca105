"""Equivariance errors: known ones, and those of a cascade."""

import ase
import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.evaluation import averaged_equivariance_error
from keras_hamiltonian.evaluation import equivariance_error

LENGTH = 0.8
on_torch = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new model is compiled"
)


class Tilted:
    """The overlap of two s orbitals, 1 eV plus x of the edge in Å."""

    basis = kh.OrbitalBasis({"H": "1s"})
    reaches, spin = {"H": 0.5}, "none"
    takes_initial = False

    def stages(self):
        return [self]

    def check_elements(self, atoms):
        pass

    def predict_on_batch(self, inputs):
        x = np.asarray(inputs["edge_vectors"])[..., 0]
        onsite = np.zeros((len(x), 1, 1))
        return {"onsite": onsite, "hopping": 1 + x[..., None, None]}


def test_errors_of_a_known_deviation():
    """x of a rotated edge is uniform between -d and d (Archimedes)."""
    atoms = ase.Atoms("H2", [[0, 0, 0], [0, 0, LENGTH]])
    found = averaged_equivariance_error(
        Tilted(), atoms, numbers=(1, 16, 1024), seed=3
    )
    # Half of the four elements differ, by |u - u'| or by that of means.
    expected = {1: 2 / 3}
    for n in (16, 1024):
        expected[n] = np.sqrt(2 / (3 * n)) * np.sqrt(2 / np.pi)
    # 1024, 64 and 1 pairs of means.
    for n, tolerance in ((1, 0.08), (16, 0.3)):
        mean = found[n]["mae_mev"] / 500 / LENGTH
        assert mean == pytest.approx(expected[n], rel=tolerance)
        assert found[n]["of_correction"] is None
    assert found[1]["largest_mev"] <= 2000 * LENGTH
    assert found[1024]["mae_mev"] < 0.15 * found[1]["mae_mev"]
    # Beside the crystal as it is, whose x is zero: the mean of |x|.
    error = equivariance_error(Tilted(), atoms, 1000)
    assert error["mae_mev"] == pytest.approx(250 * LENGTH, rel=0.08)
    assert error["relative"] == pytest.approx(LENGTH / 2, rel=0.08)


@on_torch
def test_of_a_cascade(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    stage = small_stage(store, 1)
    refinement = kh.models.TransformerStage.for_stage(
        stage, width=16, num_heads=2, num_blocks=1
    )
    random = np.random.default_rng(0)
    for weight in refinement.trainable_weights:
        noise = 0.1 * random.normal(size=weight.shape)
        weight.assign(keras.ops.convert_to_numpy(weight) + noise)
    cascade = kh.models.HamiltonianCascade(stage, refinement)
    atoms = store[0].atoms
    found = averaged_equivariance_error(cascade, atoms, (1, 16))
    assert found[16]["mae_mev"] < 0.5 * found[1]["mae_mev"]
    # More than a tenth of the correction, and less than itself rotated.
    assert 0.1 < found[1]["of_correction"] < 2
    ratio = found[1]["of_correction"] / found[1]["relative"]
    assert found[16]["of_correction"] == pytest.approx(
        found[16]["relative"] * ratio
    )
    exact = averaged_equivariance_error(stage, atoms, (1, 2))
    assert all(error["relative"] < 1e-5 for error in exact.values())


def test_a_mean_needs_a_rotation():
    with pytest.raises(ValueError, match=r"numbers=\[0, 2\]"):
        averaged_equivariance_error(Tilted(), ase.Atoms("H"), (0, 2))
