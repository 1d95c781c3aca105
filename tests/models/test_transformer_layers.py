"""What the Transformer's own layers promise beyond their contract."""

import ase.build
import keras
import numpy as np
import pytest

from keras_hamiltonian.data.batch import batch_inputs
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.models.transformer.angle_features import AngleFeatures
from keras_hamiltonian.models.transformer.vector_head import VectorHead
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within
from keras_hamiltonian.testing import assert_equivariant

REACHES = {"B": 2.6, "N": 2.4}
BASIS = OrbitalBasis({"B": "1s", "N": "1s"})


def numpy(x):
    return keras.ops.convert_to_numpy(x).astype(np.float64)


def crystal(rattle=0.0):
    """Hexagonal boron nitride: many equal distances."""
    atoms = ase.build.graphene("BN", a=2.5, vacuum=6.0)
    atoms = atoms.repeat((2, 2, 1))
    atoms.rattle(rattle, seed=0)
    return atoms


def inputs_of(atoms):
    table = neighbor_table(atoms, pairs_within(atoms, REACHES))
    inputs = batch_inputs([atoms], [table], BASIS)
    return {**inputs, "edge_vectors": table.edge_vectors}


def angle_inputs(inputs):
    """With a smooth envelope to zero at the reach."""
    lengths = np.linalg.norm(inputs["edge_vectors"], axis=-1)
    reach = np.array([REACHES["B"], REACHES["N"]])[inputs["species"]]
    relative = lengths / (reach[:, None] + reach[inputs["neighbors"]])
    envelope = np.maximum(1 - relative**2, 0) ** 3 * inputs["edge_mask"]
    given = {
        "edge_vectors": inputs["edge_vectors"],
        "lengths": lengths,
        "envelope": envelope,
    }
    given = {
        k: keras.ops.convert_to_tensor(x, dtype="float64")
        for k, x in given.items()
    }
    return {
        **given,
        "species": inputs["species"],
        "neighbors": inputs["neighbors"],
    }


@pytest.fixture
def angles():
    return AngleFeatures(6, 2, 5.2, dtype="float64")


@pytest.mark.parametrize("rattle", [0.0, 0.1])
def test_angles_do_not_depend_on_order_or_orientation(angles, rattle):
    atoms = crystal(rattle)
    inputs = inputs_of(atoms)
    plain = numpy(angles(**angle_inputs(inputs)))
    assert plain.std(axis=0).min() > 1e-4  # B and N differ
    for rotation in random_rotations(2, 0):
        # Rotated in single precision: equal distances become unequal.
        vectors = inputs["edge_vectors"].astype("float32")
        vectors = vectors @ rotation.T.astype("float32")
        rotated = {**inputs, "edge_vectors": vectors.astype(float)}
        found = numpy(angles(**angle_inputs(rotated)))
        np.testing.assert_allclose(found, plain, atol=1e-5)
    order = np.random.default_rng(0).permutation(len(atoms))
    found = numpy(angles(**angle_inputs(inputs_of(atoms[order]))))
    np.testing.assert_allclose(found, plain[order], atol=1e-10)
    mirrored = {**inputs, "edge_vectors": inputs["edge_vectors"] * [-1, 1, 1]}
    found = numpy(angles(**angle_inputs(mirrored)))
    np.testing.assert_allclose(found, plain, atol=1e-10)


def test_equal_atoms_of_a_crystal_have_equal_angles(angles):
    atoms = crystal()
    found = numpy(angles(**angle_inputs(inputs_of(atoms))))
    for symbol in ("B", "N"):
        same = found[atoms.symbols == symbol]
        np.testing.assert_allclose(same, same[:1].repeat(4, 0), atol=1e-10)


def test_angles_are_smooth(angles):
    """No jump where distances cross, or where an atom leaves the list."""
    crystals = []
    for step in np.linspace(-0.4, 0.4, 401):
        positions = [[0, 0, 0], [1.4 + step, 0, 0], [0, 1.4, 0]]
        far = [0, -2 - step, 3.9]
        crystals.append(ase.Atoms("BNNB", [*positions, far]))
    tables = [neighbor_table(a, pairs_within(a, REACHES)) for a in crystals]
    assert len({table.edge_mask.sum() for table in tables}) > 1
    inputs = angle_inputs(batch_inputs(crystals, tables, BASIS))
    values = numpy(angles(**inputs)).reshape(401, 4, -1)
    slopes = np.abs(np.diff(values, axis=0)).max(axis=(1, 2)) / 0.002
    assert slopes.max() < 20 * np.median(slopes)


def test_angles_tell_angles(angles):
    """Two edges of equal length at 90 or at 120 degrees."""
    found = []
    for degrees in (90, 120):
        x, y = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        atoms = ase.Atoms(
            "BNN", 1.4 * np.array([[0, 0, 0], [1, 0, 0], [x, y, 0]])
        )
        found.append(numpy(angles(**angle_inputs(inputs_of(atoms))))[0])
    assert np.abs(found[0] - found[1]).max() > 1e-2


def test_features_pass_the_head_as_irreps_at_the_start():
    """Without what x adds, the head is covariant until it is trained."""
    head = VectorHead("2x0e + 3x1o", "4x0e + 2x1o", dtype="float64")
    x, features = (
        np.zeros((5, 8)),
        np.random.default_rng(0).normal(size=(5, 10)),
    )
    # A constant x is normalised to zero.
    assert_equivariant(
        lambda f: head(keras.ops.convert_to_tensor(x[: len(f)]), f),
        head.irreps_in,
        head.irreps_out,
    )
    assert np.abs(numpy(head(x, features))).max() > 0.1
