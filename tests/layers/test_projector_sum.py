"""Three-centre blocks against a sum over all triples; the levels of L·S."""

import ase
import keras
import numpy as np
import pytest

from keras_hamiltonian.data.batch import batch_inputs
from keras_hamiltonian.layers import ProjectorSum
from keras_hamiltonian.layers.readout import projector_sum
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within

REACH = 2.0
PROJECTOR_REACH = 0.7
FACTOR, OWN, MIDDLE = 0.8, 0.5, -1.3


def run(layer, inputs, channels, wigner):
    num_atoms, width = inputs["neighbors"].shape
    lengths = np.linalg.norm(inputs["edge_vectors"], axis=-1)
    layer.build()
    layer.own.assign(np.full(layer.own.shape, OWN))
    layer.middle.assign(np.full(layer.middle.shape, MIDDLE))
    for weight in layer.linear.weights:
        weight.assign(np.full(weight.shape, 0.0))
    if channels:
        kernel = np.zeros(layer.linear.kernel.shape)
        kernel[0] = FACTOR
        layer.linear.kernel.assign(kernel)
    outputs = layer(
        edges={"0+": np.ones((num_atoms, width, 1, 1))},
        radial=np.zeros((num_atoms, width, 1)),
        relative=lengths / (2 * REACH),
        edge_mask=inputs["edge_mask"].astype("float64"),
        wigner=wigner,
        species=inputs["species"],
        common_neighbors=inputs["common_neighbors"],
    )
    return {k: keras.ops.convert_to_numpy(x) for k, x in outputs.items()}


@pytest.mark.parametrize("largest", [projector_sum.LARGEST_PRODUCT, 1])
def test_sum_over_all_common_neighbours(monkeypatch, largest):
    """Orbitals and projectors without direction, in a crowded small cell; all
    atoms together and one after the other."""
    monkeypatch.setattr(projector_sum, "LARGEST_PRODUCT", largest)
    random = np.random.default_rng(0)
    atoms = ase.Atoms(
        "H3", random.uniform(0, 2.5, (3, 3)), cell=np.eye(3) * 2.5, pbc=True
    )
    pairs = pairs_within(atoms, {"H": REACH})
    table = neighbor_table(atoms, pairs)
    basis = OrbitalBasis({"H": "1s"})
    inputs = batch_inputs([atoms], [table], basis)
    inputs["edge_vectors"] = table.edge_vectors
    layer = ProjectorSum(
        {"H": "1s"},
        "1x0+",
        "1s",
        PROJECTOR_REACH,
        radial_size=1,
        dtype="float64",
    )
    wigner = [np.ones((*table.neighbors.shape, d, d)) for d in (1, 3)]
    found = run(layer, inputs, True, wigner)

    def overlap(vector):
        length = np.linalg.norm(vector, axis=-1)
        relative = length / (2 * REACH * PROJECTOR_REACH)
        x = FACTOR * np.maximum(1 - relative**2, 0) ** 2
        return np.where(length < 1e-9, OWN, x)

    # All atoms k of the cells around; reach of the projectors is 2.8 Å.
    shifts = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), -1).reshape(-1, 3)
    others = (atoms.positions[:, None] + shifts * 2.5).reshape(-1, 3)

    def element(i, vector):
        start = atoms.positions[i]
        left, right = overlap(others - start), overlap(others - start - vector)
        return MIDDLE * (left * right).sum()

    for i in range(3):
        np.testing.assert_allclose(
            found["onsite"][i], element(i, np.zeros(3)), rtol=1e-12
        )
        for m in np.flatnonzero(table.edge_mask[i]):
            vector = table.edge_vectors[i, m]
            relative = np.linalg.norm(vector) / (2 * REACH)
            expected = element(i, vector) * (1 - relative**8) ** 2
            np.testing.assert_allclose(
                found["hopping"][i, m], expected, rtol=1e-10, atol=1e-14
            )
    assert not found["hopping"][~table.edge_mask].any()


def test_spin_orbit_term_splits_a_p_shell():
    """L·S of a lone atom: four levels at 1/2 and two at -1, in some unit."""
    inputs = {
        "species": np.zeros(1, "int32"),
        "edge_vectors": np.array([[[0, 0, 1.0]]]),
        "neighbors": np.zeros((1, 1), "int32"),
        "edge_mask": np.zeros((1, 1)),
        "common_neighbors": np.array([[[2, 2], [2, 1]]], "int32"),
    }
    layer = ProjectorSum(
        {"Bi": "1p"},
        "1x0+ + 1x0- + 1x1 + 1x2",
        "1p",
        spin="noncollinear",
        radial_size=1,
        dtype="float64",
    )
    layer.build()
    layer.spin_orbit.assign(np.full(layer.spin_orbit.shape, 1.0))
    onsite = _isolated(layer, inputs)["onsite"][0]
    matrix = (onsite[0] + 1j * onsite[1]).transpose(0, 2, 1, 3).reshape(6, 6)
    np.testing.assert_allclose(matrix, matrix.conj().T, atol=1e-15)
    levels = np.linalg.eigvalsh(matrix)
    unit = np.abs(levels).max()
    upper = np.ptp(levels[2:]) < 1e-12  # the sign of the unit is free
    four, two = np.split(levels, [4])
    if upper:
        two, four = np.split(levels, [2])
    np.testing.assert_allclose(np.abs(two), unit, rtol=1e-12)
    np.testing.assert_allclose(four, -two[0] / 2, rtol=1e-12)
    assert unit > 0.01


def _isolated(layer, inputs):
    layer.own.assign(np.full(layer.own.shape, OWN))
    edges = {
        kind: np.zeros((1, 1, 1 if kind[0] == "0" else 2, 1))
        for kind in layer.irreps_in
    }
    outputs = layer(
        edges=edges,
        radial=np.zeros((1, 1, 1)),
        relative=np.ones((1, 1)),
        edge_mask=inputs["edge_mask"],
        wigner=[np.eye(d)[None, None] for d in (1, 3, 5)],
        species=inputs["species"],
        common_neighbors=inputs["common_neighbors"],
    )
    return {k: keras.ops.convert_to_numpy(x) for k, x in outputs.items()}
