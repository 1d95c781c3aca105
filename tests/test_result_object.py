"""What a crystal answers, against analytic models and other programs."""

import re

import ase
import numpy as np
import pytest

import keras_hamiltonian as kh
from data_tools.pyscf_objects import from_pyscf
from keras_hamiltonian.physics.effective_mass import HBAR_SQUARED_OVER_MASS

HALF_GAP, HOPPING, LATTICE = 0.4, 2.7, 2.46


@pytest.fixture(scope="module")
def boron_nitride():
    """A honeycomb of two kinds of atoms, one orbital each: at K
    E = ±√(Δ² + (√3/2 t a k)²)."""
    cell = [[LATTICE, 0, 0], [LATTICE / 2, LATTICE * 3**0.5 / 2, 0], [0, 0, 20]]
    places = [[0, 0, 0.5], [1 / 3, 1 / 3, 0.5]]
    atoms = ase.Atoms("BN", cell=cell, scaled_positions=places, pbc=True)
    pairs = [(0, 0, 0, 0, 0), (0, 0, 0, 1, 1)]
    values = [HALF_GAP, -HALF_GAP]
    for x, y in ((0, 0), (-1, 0), (0, -1)):
        pairs += [(x, y, 0, 0, 1), (-x, -y, 0, 1, 0)]
        values += [-HOPPING, -HOPPING]
    blocks = [np.full((1, 1), value) for value in values]
    calculation = kh.Calculation(
        atoms,
        kh.OrbitalBasis({"B": "1s", "N": "1s"}),
        hamiltonian=kh.BlockMatrix.from_blocks(pairs, blocks),
        overlap=kh.BlockMatrix.from_blocks(pairs[:2], [np.eye(1)] * 2),
        num_electrons=2.0,
        name="BN",
    )
    return kh.ElectronicStructure(calculation)


@pytest.mark.parametrize("edge, sign", [("valence", -1), ("conduction", 1)])
def test_masses_are_those_of_the_massive_dirac_cone(boron_nitride, edge, sign):
    mass = boron_nitride.effective_mass(edge, (6, 6, 1))
    velocity = 3**0.5 / 2 * HOPPING * LATTICE
    expected = sign * HBAR_SQUARED_OVER_MASS * HALF_GAP / velocity**2
    assert mass.principal == pytest.approx([expected] * 2, rel=1e-4)
    assert mass.energy == pytest.approx(sign * HALF_GAP, abs=1e-6)
    assert boron_nitride.gap((6, 6, 1)).gap == pytest.approx(2 * HALF_GAP)


def test_an_edge_that_is_none(boron_nitride):
    with pytest.raises(ValueError, match='"valence" or "conduction".*top'):
        boron_nitride.effective_mass("top")


def test_occupations_are_those_of_pyscf():
    gto = pytest.importorskip("pyscf.gto")
    scf = pytest.importorskip("pyscf.scf")
    molecule = gto.M(atom="O 0 0 0; H 0 0.76 0.59; H 0 -0.76 0.59", verbose=0)
    field = scf.RHF(molecule)
    field.kernel()
    crystal = kh.ElectronicStructure(from_pyscf(field, initial=None))
    found = crystal.occupations()
    hartree = 27.21138602
    expected = hartree * field.mo_occ @ field.mo_energy
    assert found.band_energy == pytest.approx(expected, rel=1e-6)
    charges = field.mulliken_pop(verbose=0)[1]
    assert molecule.atom_charges() - found.populations == pytest.approx(
        charges, abs=1e-6
    )
    # A control: equal shares are far off.
    assert np.abs(found.populations - 10 / 3).max() > 2


def test_sisl_has_the_same_levels(data_folder):
    pytest.importorskip("sisl")
    store = kh.HamiltonianStore(data_folder / "reference_mos2.h5")
    crystal = kh.ElectronicStructure(store[0])
    k_point = [0.1, 0.2, 0.0]
    expected = crystal.states(k_point).energies
    found = crystal.to_sisl().eigh(k=k_point)
    assert found == pytest.approx(expected, abs=1e-6)


def test_pictures_and_words(boron_nitride, tmp_path):
    path = tmp_path / "bands.pdf"
    bands = boron_nitride.plot_bands(path, "GMKG", 30, boron_nitride)
    assert path.read_bytes().startswith(b"%PDF")
    shown = boron_nitride._repr_html_()
    assert re.search(r'<img alt="bands" .*src="data:image/svg', shown)
    assert "NB" in shown or "BN" in shown
    for thing in (
        bands,
        bands.path,
        boron_nitride.dos((4, 4, 1)),
        boron_nitride.states([0, 0, 0]),
        boron_nitride,
        boron_nitride.gap((6, 6, 1)),
        boron_nitride.effective_mass("valence", (6, 6, 1)),
        boron_nitride.occupations((2, 2, 1)),
    ):
        assert len(repr(thing)) < 120 and "\n" not in repr(thing)
    assert repr(bands).startswith("BandStructure(2 bands, KPath(G-M-K-G, 30")
