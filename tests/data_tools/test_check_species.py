"""Planted faults that S and H⁰ of species tell apart."""

import dataclasses
import json

import ase
import numpy as np
import pytest

import keras_hamiltonian as kh
from data_tools.check.species import SpeciesCheck
from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.conventions import RYDBERG_IN_EV
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import from_package_order
from keras_hamiltonian.orbitals.orders import to_package_order
from keras_hamiltonian.superposition.radial import RadialFunction
from keras_hamiltonian.superposition.species import Projector
from keras_hamiltonian.superposition.species import Species

MESH = np.arange(0.0, 5.0 + 1e-9, 0.01)
ATOMS = ase.Atoms(
    "OHH",
    [[0.1, 0.2, 0.3], [0.9, 0.6, 0.5], [2.1, 1.4, 2.0]],
    cell=[3.6, 3.8, 4.0],
    pbc=True,
)


def function(degree, exponent, factor=1.0):
    values = factor * MESH**degree * np.exp(-exponent * MESH**2)
    return RadialFunction.through(degree, MESH, values)


def species(exponent=1.2, coupling=0.3):
    """O with s, p and d, whose s has an exponent, and H with s and p."""
    found = {}
    for symbol, orbitals, electrons in (
        ("O", [(0, exponent), (1, 0.9), (2, 1.1)], 6.0),
        ("H", [(0, 0.8), (1, 1.2)], 1.0),
    ):
        found[symbol] = Species(
            symbol,
            5.0,
            tuple(function(*orbital, 1.5) for orbital in orbitals),
            (
                Projector((function(0, 2.0),), (1.3,)),
                Projector((function(1, 1.4),) * 2, (-0.7 + coupling, -0.7)),
            ),
            function(0, 1.2, -2.0),
            function(0, 1.8, 0.4 * electrons),
            None,
            electrons,
        )
    return found


def step(functional="PBE", cutoff=60.0, spin="none", **options):
    return kh.ZerothStep(
        species(**options),
        functional=functional,
        spin=spin,
        grid_cutoff=cutoff,
    )


def data(right, has_initial=True):
    """A calculation whose H⁰ and S are those of a `ZerothStep`."""
    initial, overlap = right(ATOMS)
    hamiltonian = initial.with_entries(1.001 * initial.entries)
    return kh.Calculation(
        ATOMS,
        right.basis,
        right.spin,
        hamiltonian=hamiltonian,
        overlap=overlap,
        initial_hamiltonian=initial if has_initial else None,
    )


PLAIN, SPINFUL = step(), step(spin="noncollinear")
known = {}


def good(spin="none"):
    if spin not in known:
        known[spin] = data(PLAIN if spin == "none" else SPINFUL)
    return known[spin]


def findings(calculation, right=None):
    right = right or (PLAIN if calculation.spin == "none" else SPINFUL)
    return SpeciesCheck(lambda basis, spin: right)(calculation)


def changed(calculation, change, *fields):
    fields = {field: change(getattr(calculation, field)) for field in fields}
    return dataclasses.replace(calculation, **fields)


def scaled(factor):
    return lambda matrix: matrix.with_entries(factor * matrix.entries)


def blockwise(change):
    def apply(matrix):
        blocks = [change(block) for block in matrix.blocks()]
        return BlockMatrix.from_blocks(matrix.atom_pairs, blocks)

    return apply


def ordered(function, program):
    def apply(matrix):
        return function(matrix, program, PLAIN.basis, ATOMS.numbers)

    return apply


def flipped(matrix):
    """The p orbitals of O with the other sign."""
    signs = {"O": np.repeat([1, -1, 1], [1, 3, 5]), "H": np.ones(4)}
    signs = [signs[s] for s in ATOMS.symbols]
    blocks = [
        signs[i][:, None] * block * signs[j]
        for (*_, i, j), block in zip(matrix.atom_pairs, matrix.blocks())
    ]
    return BlockMatrix.from_blocks(matrix.atom_pairs, blocks)


def exchanged(block):
    rows, columns = np.array(block.shape) // 2
    return np.roll(block, (rows, columns), (0, 1))


S, H, INITIAL = "overlap", "hamiltonian", "initial_hamiltonian"
BOTH = (INITIAL, H)
FAULTS = [
    (scaled(1 / HARTREE_IN_EV), BOTH, "initial", "numbers are hartree, not eV"),
    (scaled(1 / RYDBERG_IN_EV), BOTH, "initial", "numbers are rydberg, not eV"),
    (scaled(HARTREE_IN_EV), BOTH, "initial", "converted from hartree twice"),
    (scaled(0.5), (INITIAL,), "initial", "half as large: rydberg taken for"),
    (scaled(-1), BOTH, "initial", "sign of all numbers is reversed"),
    (scaled(1 / RYDBERG_IN_EV), (H,), "hamiltonian", "rydberg, not eV"),
    (blockwise(np.transpose), (H,), "hamiltonian", "every block is transposed"),
    (
        ordered(from_package_order, "openmx"),
        (S, *BOTH),
        "overlap",
        "in the order of openmx, not converted",
    ),
    (
        ordered(to_package_order, "abacus"),
        (S, *BOTH),
        "overlap",
        "in the order of abacus, converted twice",
    ),
    (
        ordered(from_package_order, "siesta"),
        BOTH,
        "initial",
        "in the order of siesta, not converted",
    ),
    (flipped, (S,), "overlap", "opposite sign: O p(m = -1) of shell 2, O p(m"),
]


@pytest.mark.parametrize("spin", ["none", "noncollinear"])
def test_good_data(spin):
    assert findings(good(spin)) == []
    check = SpeciesCheck(lambda *_: PLAIN if spin == "none" else SPINFUL)
    check(good(spin))
    assert check.measured["overlap"] == check.measured["initial"] == 0


@pytest.mark.parametrize("change, fields, where, words", FAULTS)
def test_faults_of_numbers(change, fields, where, words):
    if change.__qualname__.startswith("blockwise"):
        # Blocks of one element; transposed, others have no place.
        kinds = good().hamiltonian
        chosen = (kinds.shapes[:, 0] == kinds.shapes[:, 1]).nonzero()[0]
        base = changed(good(), lambda m: m.select(chosen), S, *BOTH)
    else:
        base = good()
    found = {f.check: f for f in findings(changed(base, change, *fields))}
    finding = found.pop(f"species_{where}")
    assert words in finding.message and finding.severity == "error"
    others = (
        {"species_initial", "species_hamiltonian"} if S in fields else set()
    )
    others |= {"species_hamiltonian"} if H in fields else set()
    assert set(found) <= others


SPINS = [
    (np.conj, "complex conjugated"),
    (exchanged, "up and down are exchanged"),
]


@pytest.mark.parametrize("change, words", SPINS)
def test_faults_of_spin(change, words):
    bad = changed(good("noncollinear"), blockwise(change), *BOTH)
    finding, *_ = findings(bad)
    assert finding.check == "species_spin_orbit" and words in finding.message


def test_coupling_that_is_switched_off():
    weaker = data(step(spin="noncollinear", coupling=0.0))
    (finding,) = findings(weaker)
    assert "is 0.000 times that of the species" in finding.message


def test_lengths_in_another_unit():
    for factor, words in (
        (1 / BOHR_IN_ANGSTROM, "lengths are bohr, not Å"),
        (BOHR_IN_ANGSTROM, "lengths were converted from bohr twice"),
    ):
        atoms = ATOMS.copy()
        atoms.set_cell(factor * atoms.cell.array, scale_atoms=True)
        overlap, *_ = findings(dataclasses.replace(good(), atoms=atoms))
        assert words in overlap.message


def test_settings_of_other_calculations():
    other = data(step(functional="PW92"), has_initial=True)
    initial, *_ = findings(other)
    assert "It fits if the functional is PW92, where 0 meV" in initial.message
    # Remembered: the next structure is compared with this one alone.
    check = SpeciesCheck(lambda *_: PLAIN)
    for _ in range(2):
        initial, *_ = check(other)
        assert "the functional is PW92" in initial.message
    assert initial.severity == "warning"


def test_other_species():
    check = SpeciesCheck(lambda *_: step(exponent=1.4))
    (overlap,) = check(good())
    assert "The species of O seem to be others" in overlap.message
    assert "those of the species end at 5 bohr" in overlap.message


def test_other_basis_and_spin():
    fewer = {s: x for s, x in species().items() if s == "H"}
    (basis,) = findings(good(), kh.ZerothStep(fewer))
    assert "O has the orbitals 1s 1p 1d in the data, and no" in basis.message
    (spin,) = findings(good(), SPINFUL)
    assert "spin='noncollinear'; nothing was compared" in spin.message
    collinear = dataclasses.replace(good("noncollinear"), spin="collinear")
    (spin,) = findings(collinear, PLAIN)
    assert "spin='collinear', the species are for spin='none'" in spin.message


def test_numbers_that_are_none():
    bad = changed(good(), scaled(np.nan), H)
    assert findings(bad) == []


def test_another_zero_of_energy():
    weights = good().overlap.entries
    moved = good().initial_hamiltonian.entries + 0.7 * weights
    initial = good().initial_hamiltonian.with_entries(moved)
    (zero,) = findings(dataclasses.replace(good(), initial_hamiltonian=initial))
    assert zero.severity == "note" and "μ = 0.700 eV" in zero.message


def test_hamiltonian_of_another_structure():
    atoms = ATOMS.copy()
    atoms.positions[0] += 0.4
    other = dataclasses.replace(
        good(), hamiltonian=PLAIN(atoms)[0], initial_hamiltonian=None
    )
    shared = [p in other.hamiltonian.index for p in good().overlap.index]
    assert np.mean(shared) > 0.9
    (finding,) = findings(other)
    assert finding.check == "species_hamiltonian"
    assert "No known fault explains it" in finding.message


def test_command(command, folder, data_folder, species_folder):
    file = data_folder / "reference_graphene.h5"
    words = ["check", "--species", species_folder, "--json", "x.json"]
    text = command(*words, file).stdout
    assert "1 clean, 0 errors" in text
    assert "H⁰ of the species differs by 0.00066 meV" in text
    found = json.loads((folder / "x.json").read_text())["structures"][0]
    assert found["species"]["overlap"] < 1e-7
    text = command(*words, file, "--functional", "PW92", code=1).stdout
    assert "It fits if the functional is PBE" in text
    text = command(*words, file, "--grid-cutoff", 150).stdout
    assert "WARNING" in text and "the cut-off is 200.0 Ry" in text
    cell = kh.HamiltonianStore(file)[0]
    rydberg = changed(cell, scaled(1 / RYDBERG_IN_EV), INITIAL)
    kh.HamiltonianStore.write(folder / "bad.h5", [rydberg])
    text = command(*words, "bad.h5", code=1).stdout
    assert "ERROR bad.h5, structure 000: species_initial" in text
    assert "the numbers are rydberg, not eV" in text
    # Without species there is nothing of them.
    assert "species" not in command("check", file).stdout
