"""What goes into a batch comes out of it."""

import numpy as np
import pytest

import keras_hamiltonian as kh
from keras_hamiltonian.data.batch import batch_matrices
from keras_hamiltonian.structures.neighbors import neighbor_table


@pytest.mark.parametrize("name", ["mos2", "bismuthene"])
@pytest.mark.parametrize("bucket", [1, 7])
def test_matrices_come_back(data_folder, name, bucket):
    """Several structures, padding, two elements, spin."""
    store = kh.HamiltonianStore(data_folder / f"{name}.h5")
    reference = kh.HamiltonianStore(data_folder / f"reference_{name}.h5")
    calculations = [store[0], reference[0], store[1]]
    dataset = kh.HamiltonianDataset(
        calculations,
        batch_size=3,
        atom_bucket=bucket,
        neighbor_bucket=bucket,
    )
    _, targets, _ = dataset[0]
    atoms = [c.atoms for c in calculations]
    tables = [
        neighbor_table(c.atoms, c.hamiltonian.atom_pairs) for c in calculations
    ]
    found = batch_matrices(targets, atoms, tables, store.basis)
    for matrix, calculation in zip(found, calculations):
        expected = calculation.hamiltonian
        np.testing.assert_array_equal(matrix.atom_pairs, expected.atom_pairs)
        single = np.complex64 if calculation.is_spinful else np.float32
        np.testing.assert_array_equal(
            matrix.entries, expected.entries.astype(single)
        )


def test_onsite_blocks_that_no_pair_asks_for(data_folder):
    calculation = kh.HamiltonianStore(data_folder / "mos2.h5")[0]
    _, targets, _ = kh.HamiltonianDataset([calculation])[0]
    pairs = calculation.hamiltonian.atom_pairs
    is_onsite = ~pairs[:, :3].any(axis=1) & (pairs[:, 3] == pairs[:, 4])
    table = neighbor_table(calculation.atoms, pairs[~is_onsite])
    (matrix,) = batch_matrices(
        targets, [calculation.atoms], [table], calculation.basis
    )
    assert len(matrix) == (~is_onsite).sum()
    for pair in list(matrix.index)[::97]:
        np.testing.assert_allclose(
            matrix.find(pair), calculation.hamiltonian.find(pair), atol=2e-5
        )
