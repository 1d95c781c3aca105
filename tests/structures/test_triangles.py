import ase.build
import numpy as np
import pytest

from keras_hamiltonian.data.batch import batch_inputs
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within
from keras_hamiltonian.structures.triangles import common_neighbors

REACHES = {"Mo": 3.1, "S": 2.4}


def inputs_of(*sizes, **padding):
    atoms_list, tables = [], []
    for size in sizes:
        atoms = ase.build.mx2("MoS2", size=size, vacuum=6)
        atoms.rattle(0.1, seed=0)
        atoms_list.append(atoms)
        tables.append(neighbor_table(atoms, pairs_within(atoms, REACHES)))
    basis = OrbitalBasis({"Mo": "1s", "S": "1s"})
    return batch_inputs(atoms_list, tables, basis, **padding)


@pytest.mark.parametrize(
    "inputs",
    [
        inputs_of((1, 1, 1)),
        inputs_of((3, 2, 1)),
        inputs_of((1, 1, 1), (2, 1, 1), atom_bucket=8, neighbor_bucket=8),
    ],
    ids=["one cell", "supercell", "padded batch"],
)
def test_against_all_triples(inputs):
    """Both ends of the third side meet, and none that exists is left out."""
    vectors, neighbors = inputs["edge_vectors"], inputs["neighbors"]
    mask = inputs["edge_mask"] > 0
    num_atoms, width = neighbors.shape
    missing = num_atoms * (width + 1)
    found = common_neighbors(vectors, neighbors, mask)
    np.testing.assert_array_equal(found, inputs["common_neighbors"])
    own = np.arange(num_atoms)[:, None]
    ends = np.concatenate([neighbors, own], axis=1)
    sides = np.concatenate([vectors, np.zeros((num_atoms, 1, 3))], axis=1)
    real = np.concatenate([mask, own >= 0], axis=1)
    for i in range(num_atoms):
        for a in np.flatnonzero(real[i]):
            j = ends[i, a]
            third = sides[i] - sides[i, a]
            # Every entry of j's list against every neighbour of i.
            same = (
                (ends[j] == ends[i][:, None])
                & real[j]
                & real[i][:, None]
                & (np.abs(sides[j] - third[:, None]).max(-1) < 1e-4)
            )
            expected = np.where(
                same.any(1), j * (width + 1) + same.argmax(1), missing
            )
            np.testing.assert_array_equal(found[i, a], expected)
        assert (found[i, ~real[i]] == missing).all()
    assert (found < missing).any(axis=(1, 2)).all()


def test_of_near_neighbors_alone():
    inputs = inputs_of((2, 2, 1))
    number, width = inputs["neighbors"].shape
    half = {symbol: 0.6 * reach for symbol, reach in REACHES.items()}
    near = inputs_of((2, 2, 1), near=[half["Mo"], half["S"]])
    # Elements in the order of the basis: Mo, S.
    reach = np.array([half["Mo"], half["S"]])[inputs["species"]]
    length = np.linalg.norm(inputs["edge_vectors"], axis=-1)
    counts = length < reach[:, None] + reach[inputs["neighbors"]]
    counts = np.concatenate([counts, np.ones((number, 1), bool)], axis=1)
    counts = counts[:, :, None] & counts[:, None]
    assert 0.05 < counts.mean() < 0.5
    expected = np.where(
        counts, inputs["common_neighbors"], number * (width + 1)
    )
    np.testing.assert_array_equal(near["common_neighbors"], expected)
