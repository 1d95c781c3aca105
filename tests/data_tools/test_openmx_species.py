"""H⁰ and S from OpenMX's species files against those of its runs."""

import functools

import numpy as np
import pytest
from openmx_data import ORBITALS

import keras_hamiltonian as kh
from data_tools import species
from data_tools.openmx_species import read_openmx_species
from keras_hamiltonian.orbitals.matrix_elements import entries_at
from keras_hamiltonian.orbitals.matrix_elements import rows_and_columns

# One structure of each set of the repository: mean error on the grid, meV.
STRUCTURES = {
    ("reference_graphene", "reference_graphene"): 0.1,
    ("reference_mos2", "reference_mos2"): 0.2,
    ("reference_bismuthene", "reference_bismuthene"): 0.1,
    ("graphene", "050"): 0.1,
    ("mos2", "018"): 0.2,
    ("bilayer_graphene", "000"): 0.1,
    ("bilayer_graphene_twisted", "000"): 0.1,
    ("bismuthene", "008"): 0.1,
    ("bi2se3", "000"): 0.1,
    ("bi2te3", "000"): 0.1,
}
# eV and without unit: the sets of noisy structures are rounded (2^-18 eV for
# H and for H - H⁰, 2^-22 for S).
ROUNDING = 2 * 2**-19
OVERLAP_ROUNDING = 2**-23


@functools.cache
def species_of(folder, symbols, spin_orbit):
    names = [ORBITALS[symbol] for symbol in symbols]
    return read_openmx_species(folder, names, spin_orbit=spin_orbit)


@functools.cache
def steps(folder, symbols, spin, neutral_atoms):
    species = species_of(folder, symbols, spin == "noncollinear")
    return kh.ZerothStep(species, spin=spin, neutral_atoms=neutral_atoms)


def calculation(data_folder, name, number):
    store = kh.HamiltonianStore(data_folder / f"{name}.h5")
    return store[number if number in store else store.names[0]]


def computed(folder, known, neutral_atoms="grid"):
    symbols = tuple(sorted(set(known.atoms.symbols)))
    return steps(folder, symbols, known.spin, neutral_atoms)(known.atoms)


def errors(found, known):
    return np.abs(entries_at(found, known) - known.entries)


def same_spin(matrix):
    """Which elements are real parts between equal spins."""
    row, column = rows_and_columns(matrix)
    sizes = np.repeat(matrix.shapes // 2, np.diff(matrix.boundaries), axis=0)
    return (row >= sizes[:, 0]) == (column >= sizes[:, 1])


@pytest.mark.parametrize("structure", STRUCTURES, ids="-".join)
def test_grid(structure, data_folder, species_folder):
    known = calculation(data_folder, *structure)
    hamiltonian, overlap = computed(species_folder, known)
    initial = known.initial_hamiltonian
    assert len(hamiltonian) == len(initial)
    if known.overlap is not None:
        wrong = errors(overlap, known.overlap).max()
        assert wrong < 2e-7 + OVERLAP_ROUNDING
    assert 1e3 * errors(hamiltonian, initial).mean() < STRUCTURES[structure]


@pytest.mark.parametrize("structure", STRUCTURES, ids="-".join)
def test_projectors(structure, data_folder, species_folder):
    known = calculation(data_folder, *structure)
    hamiltonian, _ = computed(species_folder, known, "projectors")
    wrong = errors(hamiltonian, known.initial_hamiltonian)
    assert 1e3 * wrong.mean() < 0.005
    assert 1e3 * wrong.max() < 0.3


def test_spin_orbit_coupling(data_folder, species_folder):
    # This set keeps every bit.
    known = calculation(data_folder, "reference_bismuthene", "000")
    found = computed(species_folder, known)[0]
    initial = known.initial_hamiltonian
    difference = entries_at(found, initial) - initial.entries
    flips = ~same_spin(initial)
    wrong = np.where(flips, np.abs(difference), np.abs(difference.imag))
    size = np.where(flips, np.abs(initial.entries), initial.entries.imag)
    # Onsite p is off by 6e-6 of itself.
    assert 1e3 * wrong.mean() < 1e-4
    assert 1e3 * wrong.max() < 5e-3
    assert 1e3 * np.abs(size).max() > 500


def test_an_average_of_operators_is_not_openmx(data_folder, species_folder):
    # Without spin-orbit coupling OpenMX averages functions and energies.
    known = calculation(data_folder, "reference_mos2", "000")
    species = species_of(species_folder, ("Mo", "S"), True)
    step = kh.ZerothStep(species, neutral_atoms="projectors")
    right = computed(species_folder, known, "projectors")[0]
    wrong, right = (
        errors(h, known.initial_hamiltonian).mean()
        for h in (step(known.atoms)[0], right)
    )
    assert wrong > 10 * right


def test_the_functional_matters(data_folder, species_folder):
    known = calculation(data_folder, "reference_graphene", "000")
    species = species_of(species_folder, ("C",), False)
    found, _ = kh.ZerothStep(species, functional="PZ81")(known.atoms)
    assert 1e3 * errors(found, known.initial_hamiltonian).mean() > 3


def test_contents(species_folder):
    carbon = species_of(species_folder, ("C",), False)["C"]
    assert carbon.num_electrons == 4 and carbon.reach == 6
    assert carbon.degrees == (0, 0, 1, 1, 2)
    r = np.linspace(0, 7, 20001)
    for orbital in carbon.orbitals:
        norm = np.trapezoid(orbital(r) ** 2 * r**2, r)
        assert abs(norm - 1) < 1e-5
    density = carbon.valence_density(r)
    electrons = np.trapezoid(4 * np.pi * r**2 * density, r)
    assert abs(electrons - 4) < 1e-3
    assert carbon.neutral_atom_potential(np.array([6.5]))[0] > -1e-4
    bismuth = species_of(species_folder, ("Bi",), True)["Bi"]
    assert bismuth.num_electrons == 15
    assert {len(p.functions) for p in bismuth.projectors} == {1, 2}


@pytest.mark.parametrize(
    "orbitals, message",
    [
        (["C6.0-s2p99d1"], "C6.0.pao has .* orbitals of degree 1"),
        (["C7.0-s2p2d1"], "no C7.0.pao in .* found: Bi8.0, C6.0"),
        (["C6.0-s4>1p2"], "Contracted orbitals"),
        (["C6.0"], "expected shells"),
        (["Xx6.0-s1"], "no name of OpenMX's species"),
        (["C6.0-s1", "C6.0-s2"], "Each element has one name"),
    ],
)
def test_what_is_refused(orbitals, message, species_folder):
    with pytest.raises(ValueError, match=message):
        read_openmx_species(species_folder, orbitals)


def test_incomplete_files(species_folder, tmp_path):
    with pytest.raises(ValueError, match="There is no folder"):
        read_openmx_species(tmp_path / "none", ["C6.0-s2p2d1"])
    for name in ("C6.0.pao", "C_PBE19.vps"):
        text = (species_folder / name).read_text(errors="replace")
        (tmp_path / name).write_text(text)
    assert read_openmx_species(tmp_path, ["C6.0-s2p2d1"])["C"].reach == 6
    text = text[: text.index("<Pseudo.Potentials") + 5000]
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match="no complete table <Pseudo.Pot"):
        read_openmx_species(tmp_path, ["C6.0-s2p2d1"])


@pytest.mark.parametrize(
    "functional, potential",
    [(None, "C_PBE19"), ("pbe", "C_PBE19"), ("pz81", "C_CA19")]
    + [("Pw92", "C_CA19"), ("lda,vwn", "C_CA19"), ("PBEsol", "C_PBE19")],
)
def test_potentials_are_those_of_the_functional(
    functional, potential, tmp_path, monkeypatch
):
    for name in ("C6.0.pao", "C_PBE19.vps", "C_CA19.vps"):
        (tmp_path / name).touch()
    monkeypatch.setattr(species, "read_openmx_species", lambda *x: x)
    _, orbitals, found, _ = species.read_species(
        tmp_path, ["C6.0-s2p2d1"], functional=functional
    )
    assert (orbitals, found) == (["C6.0-s2p2d1"], [potential])
