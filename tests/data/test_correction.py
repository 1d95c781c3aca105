import dataclasses
import pathlib

import h5py
import numpy as np
import pytest

from keras_hamiltonian.data.correction import describe_corrections
from keras_hamiltonian.data.correction import measure_correction
from keras_hamiltonian.data.store import HamiltonianStore

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
STEP = 2.0**-18


@pytest.fixture(scope="module", params=["graphene", "bismuthene"])
def calculation(request):
    return HamiltonianStore(DATA / f"reference_{request.param}.h5")[0]


def changed_initial(calculation, entries):
    initial = calculation.initial_hamiltonian.with_entries(entries)
    return dataclasses.replace(calculation, initial_hamiltonian=initial)


def shifted(calculation, energy):
    """The same crystal with another zero of energy of H⁰, block by block."""
    spins = np.eye(1 + calculation.is_spinful)
    overlap = calculation.overlap
    initial = calculation.initial_hamiltonian
    shift = [np.kron(spins, overlap.find(p)).ravel() for p in initial.index]
    entries = initial.entries - energy * np.concatenate(shift)
    return changed_initial(calculation, entries)


def test_zero_of_energy_is_taken_out(calculation):
    before = measure_correction(calculation)
    after = measure_correction(shifted(calculation, 3.0))
    assert after.shift == pytest.approx(before.shift + 3.0, abs=1e-9)
    assert after.mean == pytest.approx(before.mean, rel=1e-6)
    alone = dataclasses.replace(shifted(calculation, 3.0), overlap=None)
    assert measure_correction(alone).mean > 3 * before.mean
    assert measure_correction(alone).shift is None


def test_order_of_pairs_does_not_matter(calculation):
    order = np.random.default_rng(0).permutation(
        len(calculation.initial_hamiltonian)
    )
    mixed = dataclasses.replace(
        calculation,
        initial_hamiltonian=calculation.initial_hamiltonian.select(order),
    )
    found, expected = map(measure_correction, (mixed, calculation))
    assert found == pytest.approx(expected)


def test_without_an_initial_hamiltonian(calculation):
    for field in ("hamiltonian", "initial_hamiltonian"):
        missing = dataclasses.replace(calculation, **{field: None})
        assert measure_correction(missing) is None
    assert describe_corrections([None, None]) == ""


def test_rounded_initial_is_stored_as_the_smaller_difference(
    calculation, tmp_path
):
    sizes = {}
    order = np.arange(len(calculation.hamiltonian))[::-1]
    reversed_pairs = dataclasses.replace(
        calculation,
        initial_hamiltonian=calculation.initial_hamiltonian.select(order),
    )
    for name, written in {
        "initial_difference": calculation,
        "initial_hamiltonian": reversed_pairs,
    }.items():
        store = HamiltonianStore.write(
            tmp_path / name, [written], precision=STEP, compression=9
        )
        found = store[0].initial_hamiltonian
        expected = written.initial_hamiltonian
        np.testing.assert_array_equal(found.atom_pairs, expected.atom_pairs)
        error = found.entries - expected.entries
        assert 0 < np.abs(error.real).max() <= STEP / 2
        assert store.has_initial(0)
        store.close()
        with h5py.File(store.path) as root:
            entries = root[f"structures/000/{name}/entries"]
            sizes[name] = entries.id.get_storage_size()
    assert sizes["initial_difference"] < 0.9 * sizes["initial_hamiltonian"]


def test_store_tells_what_it_holds(calculation, tmp_path):
    bare = dataclasses.replace(
        calculation, name="bare", initial_hamiltonian=None
    )
    store = HamiltonianStore.write(tmp_path / "set.h5", [calculation, bare])
    assert (store.has_initial(0), store.has_initial("bare")) == (True, False)
    assert store.correction(0) == measure_correction(calculation)
    assert store.correction("bare") is None
    assert "H⁰ in 1 structures: mean |H - H⁰ - μS|" in store.describe()
    store = HamiltonianStore.write(tmp_path / "bare.h5", [bare])
    assert "H⁰ in 0 structures\n" in store.describe()
