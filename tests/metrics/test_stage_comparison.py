"""Where errors lie, and what a second stage changed: planted by hand."""

import json
import pathlib

import ase.neighborlist
import numpy as np
import pytest

from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.metrics.labels import ElementLabels
from keras_hamiltonian.metrics.labels import shell_names
from keras_hamiltonian.metrics.matrix import MatrixErrors
from keras_hamiltonian.metrics.stage_comparison import StageComparison
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
SETS = ["reference_mos2", "reference_bismuthene"]


@pytest.fixture(params=SETS)
def calculation(request):
    return HamiltonianStore(DATA / f"{request.param}.h5")[0]


@pytest.fixture
def mos2():
    return HamiltonianStore(DATA / "reference_mos2.h5")[0]


def added(matrix, *changes):
    """The matrix with something added to the elements of a mask."""
    entries = matrix.entries.copy()
    for mask, value in changes:
        entries[mask] += value
    return BlockMatrix(matrix.atom_pairs, matrix.shapes, entries)


def labels_of(calculation):
    return ElementLabels(
        calculation.hamiltonian, calculation.basis, calculation
    )


def elements_between(calculation, first, second):
    numbers = calculation.atoms.numbers
    pairs = calculation.hamiltonian.atom_pairs
    ends = np.sort(numbers[pairs[:, 3:]], axis=1)
    chosen = (ends == sorted((first, second))).all(axis=1)
    return chosen[labels_of(calculation).pair]


def test_identical_matrices_have_no_error(calculation):
    errors = MatrixErrors(calculation.basis)
    errors.update(calculation.hamiltonian, calculation)
    result = errors.result()
    assert result["mae_all"] == result["mae_cha"] == 0
    assert result["gauge_free_mae_cha"] == 0
    assert result["worst_block"]["mae"] == 0
    assert all(b["mae"] == 0 for b in result["distance_bins"])
    assert all(p["mae"] == 0 for p in result["worst_places"])


def test_an_error_of_one_element_pair_shows_up_there_alone(mos2):
    chosen = elements_between(mos2, 16, 42)
    predicted = added(mos2.hamiltonian, (chosen, 0.01))
    errors = MatrixErrors(mos2.basis)
    errors.update(predicted, mos2)
    pairs = errors.result()["element_pair_mae"]
    assert set(pairs) == {"S-S", "S-Mo", "Mo-Mo"}
    assert pairs["S-Mo"] == pytest.approx(0.01)
    assert pairs["S-S"] == pairs["Mo-Mo"] == 0


def test_bins_hold_the_pairs_that_ase_finds(mos2):
    # The second way: distances of ASE's own neighbor list.
    senders, receivers, distances = ase.neighborlist.neighbor_list(
        "ijd", mos2.atoms, 12.0
    )
    errors = MatrixErrors(mos2.basis)
    far = labels_of(mos2).distances > 4.0
    labels = labels_of(mos2)
    errors.update(added(mos2.hamiltonian, (far[labels.pair], 0.02)), mos2)
    bins = errors.result()["distance_bins"]
    assert sum(b["blocks"] for b in bins) == (~labels.is_onsite).sum()
    for entry in bins:
        inside = (distances >= entry["from"]) & (distances < entry["to"])
        if entry["to"] <= 6.0:  # all such pairs are in the matrix
            assert entry["blocks"] == inside.sum()
        assert entry["mae"] == pytest.approx(0.02 * (entry["from"] >= 4.0))


def test_the_worst_orbital_block_is_named(calculation):
    labels = labels_of(calculation)
    names = shell_names(calculation.basis)
    block = int(np.flatnonzero(labels.one_of_two())[37])
    predicted = added(
        calculation.hamiltonian,
        (labels.orbital_block == block, 0.5),
        (np.ones(len(labels.pair), bool), 0.001),
    )
    errors = MatrixErrors(calculation.basis)
    errors.update(predicted, calculation)
    result = errors.result()
    place = result["worst_places"][0]
    pair, shells = labels.block_keys[block]
    *cell, first, second = labels.atom_pairs[pair].tolist()
    row, column = divmod(int(shells), len(names))
    symbols = calculation.atoms.get_chemical_symbols()
    assert place["structure"] == calculation.name
    assert place["atoms"] == [f"{symbols[n]}{n}" for n in (first, second)]
    assert place["cell"] == cell
    assert place["shells"] == f"{names[row]}-{names[column]}"
    assert place["mae"] == pytest.approx(0.501)
    assert result["worst_block"]["shells"] == place["shells"]
    assert len(result["worst_places"]) > 1
    assert result["worst_places"][1]["mae"] == pytest.approx(0.001)


def test_every_orbital_block_has_one_of_two(calculation):
    labels = labels_of(calculation)
    chosen = labels.one_of_two()
    size = len(calculation.basis.table_shells)
    pairs = calculation.hamiltonian.reverse_positions()
    place = {tuple(k): n for n, k in enumerate(labels.block_keys.tolist())}
    for n, (pair, shells) in enumerate(labels.block_keys.tolist()):
        row, column = divmod(shells, size)
        other = place[(int(pairs[pair]), column * size + row)]
        found = int(chosen[n]) + int(chosen[other])
        assert found == (2 if other == n else 1)


def test_help_and_harm_are_told_apart(calculation):
    """Onsite errors halve, one pair of shells gets worse, the rest stays."""
    reference = calculation.hamiltonian
    labels = labels_of(calculation)
    size = len(calculation.basis.table_shells)
    onsite = labels.is_onsite[labels.pair]
    harmed = ~onsite & (labels.shells == size + 2)
    everything = np.ones(len(onsite), bool)
    baseline = added(reference, (everything, 0.004))
    refined = added(baseline, (onsite, -0.002), (harmed, 0.003))
    comparison = StageComparison(calculation.basis)
    comparison.update(baseline, refined, calculation)
    result = comparison.result()
    assert result["onsite"]["improved"] == 1
    assert result["onsite"]["baseline_mae"] == pytest.approx(0.004)
    assert result["onsite"]["refined_mae"] == pytest.approx(0.002)
    assert result["onsite"]["correction"] == pytest.approx(0.002)
    assert result["hopping"]["improved"] == 0
    table = np.array(result["block_correction"], dtype=float)
    hoppings = (~labels.is_onsite[labels.block_keys[:, 0]]).sum()
    assert result["hopping"]["count"] == hoppings
    here = labels.block_keys[:, 1] == size + 2
    share = labels.is_onsite[labels.block_keys[here, 0]].mean()
    expected = 0.002 * share + 0.003 * (1 - share)
    assert table[1, 2] == pytest.approx(expected)
    assert len(result["harmed"]) > 0
    names = shell_names(calculation.basis)
    for place in result["harmed"]:
        assert place["shells"] == f"{names[1]}-{names[2]}"
        assert place["baseline_mae"] == pytest.approx(0.004)
        assert place["refined_mae"] == pytest.approx(0.007)
    json.dumps(result)


def test_a_stage_that_does_nothing_improves_nothing(mos2):
    comparison = StageComparison(mos2.basis)
    baseline = added(mos2.hamiltonian, (slice(None), 0.01))
    comparison.update(baseline, baseline, mos2)
    result = comparison.result()
    assert result["all"]["improved"] == result["all"]["correction"] == 0
    assert result["harmed"] == []


def test_nothing_added():
    basis = HamiltonianStore(DATA / "reference_mos2.h5").basis
    with pytest.raises(ValueError, match="update"):
        StageComparison(basis).result()
