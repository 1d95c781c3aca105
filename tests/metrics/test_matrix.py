"""Errors of matrices against plain loops and against known shifts."""

import json
import pathlib

import numpy as np
import pytest

from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.metrics.labels import shell_names
from keras_hamiltonian.metrics.matrix import MatrixErrors
from keras_hamiltonian.metrics.matrix import block_mean_absolute_errors
from keras_hamiltonian.metrics.matrix import energy_shift
from keras_hamiltonian.metrics.matrix import gauge_free_mean_absolute_error
from keras_hamiltonian.metrics.matrix import mean_absolute_error
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.matrix_elements import overlap_of_elements
from keras_hamiltonian.physics.hamiltonian import BlochMatrices

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
SETS = ["reference_graphene", "reference_mos2", "reference_bismuthene"]


def read(name):
    return HamiltonianStore(DATA / f"{name}.h5")[0]


def noisy(matrix, size, seed=0):
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=matrix.entries.shape)
    if np.iscomplexobj(matrix.entries):
        noise = noise + 1j * generator.normal(size=noise.shape)
    return matrix.with_entries(matrix.entries + size * noise)


@pytest.mark.parametrize("name", SETS)
def test_a_shift_of_the_energy_zero_costs_nothing(name):
    calculation = read(name)
    reference, overlap = calculation.hamiltonian, calculation.overlap
    by_element = overlap_of_elements(reference, overlap)
    shifted = reference.with_entries(reference.entries + 0.7 * by_element)
    assert mean_absolute_error(shifted, reference) > 1e-3
    assert energy_shift(shifted, reference, overlap) == pytest.approx(0.7)
    free = gauge_free_mean_absolute_error(shifted, reference, overlap)
    assert free < 1e-9
    # H + μ S has every band moved by μ: what the expanded overlap means.
    moved = BlochMatrices(shifted, None, calculation.num_orbitals)
    matrices = BlochMatrices.from_calculation(calculation)
    difference = moved.hamiltonian_at([0.1, 0.2, 0]) - (
        matrices.hamiltonian_at([0.1, 0.2, 0])
    )
    expected = 0.7 * matrices.overlap_at([0.1, 0.2, 0])
    np.testing.assert_allclose(
        difference.toarray(), expected.toarray(), atol=1e-12
    )


def test_gauge_free_error_of_the_atomic_densities():
    """H⁰ of OpenMX: 27 meV away, of which the energy zero is 19."""
    calculation = read("reference_graphene")
    errors = (
        calculation.initial_hamiltonian,
        calculation.hamiltonian,
    )
    assert mean_absolute_error(*errors) == pytest.approx(0.0266, abs=2e-4)
    free = gauge_free_mean_absolute_error(*errors, calculation.overlap)
    assert free == pytest.approx(0.0078, abs=2e-4)
    assert energy_shift(*errors, calculation.overlap) == pytest.approx(
        1.49, abs=0.01
    )


def test_the_shift_is_the_best_one():
    calculation = read("reference_mos2")
    reference, overlap = calculation.hamiltonian, calculation.overlap
    predicted = noisy(reference, 0.01)
    best = energy_shift(predicted, reference, overlap)
    free = gauge_free_mean_absolute_error(predicted, reference, overlap)
    by_element = overlap_of_elements(reference, overlap)
    difference = predicted.entries - reference.entries
    for other in (0.0, best - 1e-3, best + 1e-3):
        assert free <= np.abs(difference - other * by_element).mean()
    exact = gauge_free_mean_absolute_error(reference, reference, overlap)
    assert exact == 0.0


@pytest.mark.parametrize("name", SETS)
def test_blocks_against_loops(name):
    calculation = read(name)
    basis, numbers = calculation.basis, calculation.atoms.numbers
    reference = calculation.hamiltonian
    predicted = noisy(reference, 0.01)
    got = block_mean_absolute_errors(predicted, reference, basis, numbers)
    table = np.repeat(
        np.arange(len(basis.table_shells)),
        [2 * l + 1 for l in basis.table_shells],
    )
    pools = {}
    for pair, block, other in zip(
        reference.atom_pairs, reference.blocks(), predicted.blocks()
    ):
        rows, columns = (table[basis.table_rows(numbers[k])] for k in pair[3:])
        spin = 2 if calculation.is_spinful else 1
        for r, c in np.ndindex(block.shape):
            key = np.tile(rows, spin)[r], np.tile(columns, spin)[c]
            pools.setdefault(key, []).append(abs(other[r, c] - block[r, c]))
    for key, values in pools.items():
        assert got[key] == pytest.approx(np.mean(values))
    assert np.isfinite(got).all() == (len(pools) == got.size)


def test_blocks_that_no_pair_has_are_nan():
    calculation = read("reference_mos2")
    reference = calculation.hamiltonian
    is_sulphur = calculation.atoms.numbers[reference.atom_pairs[:, 3:]] == 16
    only = reference.select(is_sulphur.all(axis=1))
    errors = block_mean_absolute_errors(
        only, only, calculation.basis, calculation.atoms.numbers
    )
    names = shell_names(calculation.basis)
    assert names == ["s1", "s2", "s3", "p1", "p2", "d1", "d2"]
    absent = [names.index("s3"), names.index("d2")]
    assert np.isnan(errors[absent]).all()
    assert np.isnan(errors).sum() == 7 * 7 - 5 * 5


def test_errors_of_a_set():
    calculations = [read(name) for name in ("reference_mos2", "mos2")]
    errors = MatrixErrors(calculations[0].basis)
    predictions = [
        noisy(calculation.hamiltonian, size, seed=k)
        for k, (calculation, size) in enumerate(zip(calculations, (0.03, 0.01)))
    ]
    for k, (predicted, calculation) in enumerate(
        zip(predictions, calculations)
    ):
        calculation.name = f"structure {k}"
        errors.update(predicted, calculation)
    result = json.loads(json.dumps(errors.result()))
    single = [
        mean_absolute_error(p, c.hamiltonian)
        for p, c in zip(predictions, calculations)
    ]
    assert result["mae_all"] == pytest.approx(np.mean(single))
    assert result["mae_cha"] == pytest.approx(single[0])
    assert result["worst_structure"] == "structure 0"
    # Mean of |normal noise|: sqrt(2/π) of its size.
    for part in ("onsite_mae", "hopping_mae"):
        assert result[part] == pytest.approx(0.02 * (2 / np.pi) ** 0.5, rel=0.1)
    assert sorted(result["element_pair_mae"]) == ["Mo-Mo", "S-Mo", "S-S"]
    sizes = [c.hamiltonian.entries.size for c in calculations]
    pooled = np.average(single, weights=sizes)
    assert np.nanmean(errors.block_errors()[0]) == pytest.approx(
        pooled, rel=0.05
    )
    for entry in result["structures"]:
        assert entry["gauge_free_mae"] <= entry["mae"]


def test_a_structure_without_overlap():
    calculation = read("reference_graphene")
    calculation.overlap = None
    errors = MatrixErrors(calculation.basis)
    errors.update(calculation.hamiltonian, calculation)
    assert errors.result()["gauge_free_mae"] is None
    assert errors.result()["mae_all"] == 0.0
    with pytest.raises(ValueError, match="No structure"):
        MatrixErrors(calculation.basis).result()


def test_the_order_of_pairs_does_not_matter():
    reference = read("reference_graphene").hamiltonian
    order = np.random.default_rng(1).permutation(len(reference))
    assert mean_absolute_error(reference.select(order), reference) == 0.0
    with pytest.raises(ValueError, match="lacks 1 of 92"):
        mean_absolute_error(reference.select(order[1:]), reference)


def test_other_shapes_are_refused():
    first = BlockMatrix.from_blocks([(0, 0, 0, 0, 0)], [np.eye(2)])
    second = BlockMatrix.from_blocks([(0, 0, 0, 0, 0)], [np.eye(4)])
    with pytest.raises(ValueError, match="different shapes"):
        mean_absolute_error(first, second)
