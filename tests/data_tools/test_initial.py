"""Two runs of one crystal: the second one's Hamiltonian is H⁰."""

import dataclasses
import pathlib
import shutil

import ase
import numpy as np
import pytest
import scfout_writer as made

from data_tools.convert import convert
from data_tools.formats import find_sources
from data_tools.formats import read_calculation
from data_tools.formats import write_calculation
from data_tools.initial import with_initial
from data_tools.openmx import read_scfout
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
SHIFT = 0.01
replace = dataclasses.replace


@pytest.fixture(scope="module", params=["graphene", "mos2", "bismuthene"])
def calculation(request):
    return HamiltonianStore(DATA / f"reference_{request.param}.h5")[0]


def split_runs(calculation):
    """The converged and the initial run that one calculation comes from."""
    converged = replace(calculation, initial_hamiltonian=None)
    return converged, replace(
        converged,
        hamiltonian=calculation.initial_hamiltonian,
        fermi_level=1.0,
        source={"code": "OpenMX", "file": "first.scfout"},
    )


def write_pair(folder, spin, name="made"):
    """Two scfout files; H of the first step is off by SHIFT hartree."""
    (folder / "initial").mkdir(parents=True)
    numbers = {"spin": spin}
    (folder / f"{name}.scfout").write_bytes(made.scfout_bytes(**numbers))
    (folder / "initial" / f"{name}.scfout").write_bytes(
        made.scfout_bytes(**numbers, hamiltonian_shift=SHIFT)
    )
    return folder / f"{name}.scfout"


@pytest.mark.parametrize("spin", [0, 1, 3])
def test_openmx_run_that_stopped_at_the_first_step(tmp_path, spin):
    path = write_pair(tmp_path / "run", spin)
    assert [s.name for s in find_sources(tmp_path)] == ["made"]
    found = read_calculation(path)
    alone = read_scfout(path)
    assert alone.initial_hamiltonian is None
    assert found.hamiltonian == alone.hamiltonian
    difference = found.initial_hamiltonian.entries - found.hamiltonian.entries
    # With spin-orbit coupling ud = H2 + i (H3 + iH2): three shifted numbers.
    largest = abs(1 + 2j) if spin == 3 else 1
    assert np.abs(difference).max() == pytest.approx(
        largest * SHIFT * HARTREE_IN_EV
    )
    assert found.source["initial_file"] == "made.scfout"


def test_runs_are_joined_exactly(calculation):
    joined = with_initial(*split_runs(calculation))
    assert joined.hamiltonian == calculation.hamiltonian
    assert joined.initial_hamiltonian == calculation.initial_hamiltonian
    assert joined.fermi_level == calculation.fermi_level
    assert joined.source["initial_file"] == "first.scfout"
    # Pairs in another order, and a source that calls it H⁰ itself.
    converged, initial = split_runs(calculation)
    order = np.arange(len(initial.hamiltonian))[::-1]
    shuffled = replace(initial, hamiltonian=initial.hamiltonian.select(order))
    for other in (shuffled, calculation):
        found = with_initial(converged, other).initial_hamiltonian
        assert found == calculation.initial_hamiltonian


def moved(c):
    atoms = c.atoms.copy()
    atoms.positions[1, 2] += 0.05
    return replace(c, atoms=atoms)


def stretched(c):
    atoms = c.atoms.copy()
    atoms.set_cell(1.01 * np.asarray(atoms.cell))
    return replace(c, atoms=atoms)


def other_overlap(c):
    overlap = c.overlap.with_entries(1.001 * c.overlap.entries)
    return replace(c, overlap=overlap)


def shorter(c):
    lengths = np.linalg.norm(c.edge_vectors(c.hamiltonian.atom_pairs), axis=1)
    return replace(c, hamiltonian=c.hamiltonian.select(lengths < 4))


def other_spin(c):
    if c.spin != "none":
        half = [
            b[: len(b) // 2, : b.shape[1] // 2].real
            for b in c.hamiltonian.blocks()
        ]
        spin = "none"
    else:
        half = [np.kron(np.eye(2), b) for b in c.hamiltonian.blocks()]
        spin = "collinear"
    matrix = BlockMatrix.from_blocks(c.hamiltonian.atom_pairs, half)
    return replace(c, spin=spin, hamiltonian=matrix)


def other_atoms(c):
    atoms = ase.Atoms(c.atoms[[0]])
    return replace(c, atoms=atoms, hamiltonian=_home(c), overlap=None)


def _home(c):
    return c.hamiltonian.select((c.hamiltonian.atom_pairs == 0).all(axis=1))


def without(c):
    return replace(c, hamiltonian=None)


@pytest.mark.parametrize(
    "fault, words",
    [
        (moved, "positions differ by up to 0.05 Å"),
        (stretched, "lattices differ"),
        (other_overlap, "overlaps differ by up to 0.001"),
        (shorter, "first.scfout lacks .* atom pairs"),
        (other_spin, "its spin is"),
        (other_atoms, "its atoms are"),
        (without, "no Hamiltonian"),
    ],
)
def test_runs_that_do_not_belong_together(calculation, fault, words):
    converged, initial = split_runs(calculation)
    with pytest.raises(ValueError, match=words):
        with_initial(converged, fault(initial))


def test_the_same_run_twice(calculation):
    converged, _ = split_runs(calculation)
    with pytest.raises(ValueError, match="equal to H: the same run"):
        with_initial(converged, converged)


def test_pairs_below_a_threshold_are_zero(calculation):
    """ABACUS leaves out blocks of zeros, in each run its own."""
    converged, initial = split_runs(calculation)
    matrix = initial.hamiltonian
    entries = matrix.entries.copy()
    last = len(matrix) - 1
    entries[matrix.boundaries[last] :] = 0
    zero = replace(initial, hamiltonian=matrix.with_entries(entries))
    cut = replace(initial, hamiltonian=matrix.select(np.arange(last)))
    # H is not zero there, so its block may not be missing in H⁰.
    if np.abs(converged.hamiltonian.block(last)).max() > 1e-6:
        with pytest.raises(ValueError, match="lacks 1 of"):
            with_initial(converged, cut)
    small = converged.hamiltonian.entries.copy()
    small[matrix.boundaries[last] :] *= 1e-9
    converged = replace(
        converged, hamiltonian=converged.hamiltonian.with_entries(small)
    )
    found = with_initial(converged, cut).initial_hamiltonian
    assert found == with_initial(converged, zero).initial_hamiltonian


@pytest.mark.parametrize(
    "format, ending",
    [("siesta", ".HSX"), ("abacus", ""), ("abacus-legacy", "")],
)
def test_every_program_has_the_same_convention(
    calculation, tmp_path, format, ending
):
    if format == "siesta":
        pytest.importorskip("sisl")
    converged, initial = split_runs(calculation)
    place = tmp_path / "runs" / f"000{ending}"
    write_calculation(place, converged, format)
    initial_place = {
        "": place / "initial",
        ".HSX": tmp_path / "runs" / "initial" / "000.HSX",
    }[ending]
    write_calculation(initial_place, initial, format)
    store_path = tmp_path / "set.h5"
    assert convert(tmp_path / "runs", store_path) == ["000"]
    found = HamiltonianStore(store_path)[0]
    for field in ("hamiltonian", "initial_hamiltonian"):
        expected, matrix = getattr(calculation, field), getattr(found, field)
        for pair, block in zip(expected.index, expected.blocks()):
            np.testing.assert_allclose(matrix.find(pair), block, atol=1e-8)


def test_convert_takes_runs_of_the_same_name(tmp_path):
    for name in ("000", "001"):
        path = write_pair(tmp_path / "pairs" / name, 0)
        target = tmp_path / "first" / name / "made.scfout"
        target.parent.mkdir(parents=True)
        shutil.move(path.parent / "initial" / "made.scfout", target)
        (path.parent / "initial").rmdir()
    first, runs = tmp_path / "first", tmp_path / "pairs"
    names = convert(runs, tmp_path / "set.h5", initial=first)
    assert names == ["000_made", "001_made"]
    store = HamiltonianStore(tmp_path / "set.h5")
    assert all(map(store.has_initial, names))
    (first / "001" / "made.scfout").rename(first / "001" / "other.scfout")
    with pytest.raises(ValueError, match="2 of 2 structures have no initial"):
        convert(runs, tmp_path / "more.h5", initial=first)
    # One of each: the names need not be alike.
    convert(runs / "000", tmp_path / "one.h5", initial=first / "001")
    assert HamiltonianStore(tmp_path / "one.h5").has_initial(0)
    with pytest.raises(ValueError, match="'made': H⁰ .* equal to H"):
        convert(runs / "000", tmp_path / "bad.h5", initial=runs / "000")
    assert not (tmp_path / "bad.h5").exists()


@pytest.mark.parametrize("format", ["deeph-legacy", "deeph-dock", "npz"])
def test_formats_with_a_place_for_it_keep_it(calculation, tmp_path, format):
    ending = ".npz" if format == "npz" else ""
    write_calculation(tmp_path / f"x{ending}", calculation, format)
    found = read_calculation(tmp_path / f"x{ending}").initial_hamiltonian
    expected = calculation.initial_hamiltonian
    assert found.select([found.index[p] for p in expected.index]) == expected
