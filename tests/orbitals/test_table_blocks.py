import numpy as np
import pytest

from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.table_blocks import from_table
from keras_hamiltonian.orbitals.table_blocks import table_mask
from keras_hamiltonian.orbitals.table_blocks import to_table

LARGER = OrbitalBasis({"C": "2s 2p 1d", "Mo": "3s 2p 2d", "S": "2s 2p 1d"})


@pytest.mark.parametrize("name", ["graphene", "mos2", "bismuthene"])
def test_blocks_come_back_exactly(data_folder, name):
    store = HamiltonianStore(data_folder / f"reference_{name}.h5")
    c = store[0]
    table = to_table(c.hamiltonian, c.atoms.numbers, c.basis, c.is_spinful)
    again = from_table(
        table,
        c.hamiltonian.atom_pairs,
        c.atoms.numbers,
        c.basis,
        c.is_spinful,
    )
    assert again == c.hamiltonian


def test_entries_stand_where_their_orbitals_are(data_folder):
    c = HamiltonianStore(data_folder / "reference_mos2.h5")[0]
    h, numbers = c.hamiltonian, c.atoms.numbers
    table = to_table(h, numbers, LARGER, False)
    for k in range(0, len(h), 17):
        i, j = h.atom_pairs[k, 3:]
        rows = LARGER.table_rows(numbers[i])
        columns = LARGER.table_rows(numbers[j])
        np.testing.assert_array_equal(
            table[k][np.ix_(rows, columns)], h.block(k)
        )
        np.testing.assert_allclose(
            (table[k] ** 2).sum(), (h.block(k) ** 2).sum()
        )


def test_spin_axes(data_folder):
    c = HamiltonianStore(data_folder / "reference_bismuthene.h5")[0]
    table = to_table(c.hamiltonian, c.atoms.numbers, c.basis, True)
    n = c.basis.num_rows
    block = c.hamiltonian.block(3)
    assert table.shape == (len(c.hamiltonian), 2, 2, 2, n, n)
    np.testing.assert_array_equal(table[3, 0, 0, 1], block[:n, n:].real)
    np.testing.assert_array_equal(table[3, 1, 1, 0], block[n:, :n].imag)


def test_chosen_positions_and_padding(data_folder):
    c = HamiltonianStore(data_folder / "reference_graphene.h5")[0]
    positions = np.array([[3, -1], [0, 3]])
    table = to_table(c.hamiltonian, c.atoms.numbers, c.basis, False, positions)
    assert table.shape == (2, 2, 13, 13)
    np.testing.assert_array_equal(table[0, 0], c.hamiltonian.block(3))
    np.testing.assert_array_equal(table[1, 1], table[0, 0])
    assert not table[0, 1].any()


def test_mask_of_element_pairs():
    basis = OrbitalBasis({"H": "1s", "C": "2s 1p"})
    species = np.array([0, 1, -1])
    mask = table_mask(species[:, None], species[None, :], basis)
    assert mask.shape == (3, 3, 5, 5)
    counts = [[25, 5, 0], [5, 1, 0], [0, 0, 0]]
    np.testing.assert_array_equal(mask.sum((2, 3)), counts)
    np.testing.assert_array_equal(mask[0, 1], mask[1, 0].T)
