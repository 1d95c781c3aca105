"""Species files of SIESTA and ABACUS: Gaussians, against PySCF's integrals."""

import dataclasses
import math

import ase
import ase.io
import numpy as np
import pytest
import scipy.linalg
import test_gaussians
from gaussian_species import MESH
from gaussian_species import ORBITALS
from gaussian_species import gaussian
from gaussian_species import gaussian_species
from pyscf_integrals import orbitals
from pyscf_integrals import ordered
from species_writers import ENDS
from species_writers import POPULATIONS
from species_writers import RYDBERGS
from species_writers import second_version
from species_writers import upf_contents
from species_writers import write_ion_xml
from species_writers import write_orb
from species_writers import write_upf
from test_gaussians import MEV
from test_gaussians import reference
from test_gaussians import whole

import keras_hamiltonian as kh
from data_tools.species import read_species
from data_tools.upf import read_upf
from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.superposition.radial import RadialFunction

SPINS = ["none", "noncollinear"]


def computed(species, atoms, spin):
    step = kh.ZerothStep(species, spin=spin, functional="PZ81")
    assert not step.damping
    hamiltonian, overlap = step(atoms)
    return whole(hamiltonian, 2 if spin == "noncollinear" else 1), overlap


def write_abacus(folder, version, spin_orbit=True):
    for symbol in ("H", "O"):
        write_orb(folder, symbol)
        write_upf(folder, symbol, version, spin_orbit)
    return folder


def check_overlap(overlap, atoms):
    mol = orbitals(atoms)
    expected = ordered(mol, mol.intor("int1e_ovlp"))
    assert np.abs(whole(overlap) - expected).max() < 1e-7


def test_siesta_against_pyscf(tmp_path, monkeypatch):
    # The densities of PySCF's comparison are those of hydrogen's populations.
    atoms = ase.Atoms("HHH", test_gaussians.ATOMS.positions)
    monkeypatch.setattr(test_gaussians, "ATOMS", atoms)
    write_ion_xml(tmp_path, "H")
    species = read_species(tmp_path, spin_orbit=True)
    for spin in SPINS:
        hamiltonian, overlap = computed(species, atoms, spin)
        wrong = np.abs(hamiltonian - reference("lda,pz", spin)).max()
        assert wrong < 0.05 * MEV
    check_overlap(overlap, atoms)


def test_siesta_against_species_by_hand(tmp_path):
    # Shells with ends of their own, s, p and d projectors, a partial core.
    write_ion_xml(tmp_path, "O")
    write_ion_xml(tmp_path, "H")
    species = read_species(tmp_path)
    by_hand = gaussian_species()
    for symbol, known in by_hand.items():
        values = sum(
            q * f.values**2 for f, q in zip(known.orbitals, POPULATIONS[symbol])
        )
        density = RadialFunction.through(0, MESH, values / (4 * np.pi))
        by_hand[symbol] = dataclasses.replace(known, valence_density=density)
    atoms = test_gaussians.ATOMS
    found, overlap = computed(species, atoms, "noncollinear")
    expected, _ = computed(by_hand, atoms, "noncollinear")
    assert np.abs(found - expected).max() < 0.05 * MEV
    check_overlap(overlap, atoms)
    oxygen = species["O"]
    assert [f.end for f in oxygen.orbitals] == pytest.approx(ENDS["O"])
    assert oxygen.num_electrons == 6 and oxygen.degrees == (0, 1, 2)
    # Scalar files have no coupling to give.
    (tmp_path / "scalar").mkdir()
    write_ion_xml(tmp_path / "scalar", "O", spin_orbit=False)
    plain = read_species(tmp_path / "scalar")["O"]
    assert {len(p.functions) for p in plain.projectors} == {1}
    with pytest.raises(ValueError, match=r"l = \[1, 2\] without j"):
        read_species(tmp_path / "scalar", spin_orbit=True)


@pytest.mark.parametrize("version, spin", [(1, "noncollinear"), (2, "none")])
def test_abacus_against_pyscf(tmp_path, version, spin):
    # The β are mixed and D is not diagonal.
    species = read_species(write_abacus(tmp_path, version), spin_orbit=True)
    atoms = test_gaussians.ATOMS
    hamiltonian, overlap = computed(species, atoms, spin)
    wrong = np.abs(hamiltonian - reference("lda,pz", spin)).max()
    assert wrong < 0.05 * MEV
    check_overlap(overlap, atoms)


def test_projectors_that_are_mixed(tmp_path):
    # `Σ |p> e <p|` is `Σ |β_i> D_ij <β_j|`, and not its diagonal.
    path = write_upf(tmp_path, "O", 2)
    write_orb(tmp_path, "O")
    pseudo = read_upf(path)
    first = [n for n, l in enumerate(pseudo.degrees) if l == 0]
    betas = pseudo.projectors[first, 50:200] / pseudo.mesh[50:200]
    strengths = 0.5 * pseudo.strengths[np.ix_(first, first)]
    found = 0.0
    for projector in read_species(tmp_path)["O"].projectors:
        if projector.degree == 0:
            values = projector.functions[0](pseudo.mesh[50:200])
            found += projector.energies[0] * np.outer(values, values)
    assert np.abs(found - betas.T @ strengths @ betas).max() < 1e-9
    diagonal = np.diag(np.diag(strengths))
    assert np.abs(found - betas.T @ diagonal @ betas).max() > 0.1


def gth_contents(pseudo, mesh):
    """A pseudopotential of Goedecker, Teter and Hutter as UPF contents."""
    betas, labels, blocks = [], [], []
    for l, (radius, count, strengths) in enumerate(pseudo[5:]):
        for i in range(count):
            power = l + 2 * i + 1.5
            height = math.sqrt(2 / math.gamma(power)) / radius**power
            function = mesh ** (l + 2 * i + 1)
            function *= np.exp(-((mesh / radius) ** 2) / 2)
            betas.append(height * function)
            labels.append((l, l + 0.5))
        if count:
            blocks.append(RYDBERGS * np.array(strengths))
    local, _, _, _, core, atom = upf_contents("O", mesh, False)
    matrix = scipy.linalg.block_diag(*blocks)
    return local, betas, labels, matrix, core, atom


def test_projectors_of_silicon_against_pyscf(tmp_path):
    # Two s and a D that is not diagonal; on the orbitals of oxygen.
    gto = pytest.importorskip("pyscf.pbc.gto")
    pp_int = pytest.importorskip("pyscf.pbc.gto.pseudo.pp_int")
    pseudo = gto.pseudo.load("gth-pade", "Si")
    assert pseudo[5][1] == 2
    mesh = np.arange(0.0, 8.0, 0.01)
    text = second_version("O", mesh, gth_contents(pseudo, mesh), False)
    (tmp_path / "O.upf").write_text(text)
    write_orb(tmp_path, "O")
    known = read_species(tmp_path)["O"]
    atoms = ase.Atoms("OOO", test_gaussians.ATOMS.positions)
    with_projectors, without = (
        computed({"O": species}, atoms, "none")[0]
        for species in (known, dataclasses.replace(known, projectors=()))
    )
    cell = gto.M(
        atom=list(zip(atoms.symbols, atoms.positions / BOHR_IN_ANGSTROM)),
        a=40 * np.eye(3),
        unit="bohr",
        basis={"O": [[l, [a, 1.0]] for l, a in ORBITALS["O"]]},
        pseudo={"O": pseudo},
        verbose=0,
    )
    expected = HARTREE_IN_EV * ordered(cell, pp_int.get_pp_nl(cell))
    found = with_projectors - without
    assert np.abs(found - expected).max() < 0.05 * MEV
    assert np.abs(expected).max() > 1


def test_command(folder, command):
    write_ion_xml(folder, "H")
    atoms = ase.Atoms("H2", [[0, 0, 0], [0.8, 0, 0]], pbc=True)
    atoms.cell = [3, 7, 7]
    ase.io.write("chain.xyz", atoms)
    words = ["--species", ".", "--functional", "PW92", "--grid-cutoff", 40]
    result = command("zeroth", "chain.xyz", *words, "-o", "h0.h5")
    assert result.stdout == "1 structures: h0.h5\n"
    found = kh.HamiltonianStore("h0.h5")["chain"]
    assert found.num_electrons == 2
    assert found.basis.shells == {"H": (0, 1)}
    expected, _ = kh.ZerothStep(
        read_species("."), functional="PW92", grid_cutoff=40.0
    )(atoms)
    assert found.hamiltonian == expected


def test_abacus_sums(tmp_path):
    species = read_species(write_abacus(tmp_path, 2, spin_orbit=False))
    by_hand = gaussian_species()
    r = np.linspace(1e-3, 8.0, 8001)
    for symbol, found in species.items():
        density = 4 * np.pi * r**2 * found.valence_density(r)
        known = by_hand[symbol]
        assert np.trapezoid(density, r) == pytest.approx(known.num_electrons)
        # The local potential and the density's Hartree potential cancel.
        outside = found.neutral_atom_potential(np.linspace(5.0, 7.9, 50))
        assert np.abs(outside).max() < 1e-6
        for orbital, (l, a) in zip(found.orbitals, ORBITALS[symbol]):
            wrong = orbital(r) - gaussian(l, a)(r) * (r <= orbital.end)
            assert np.abs(wrong).max() < 1e-6
        # e₊ alone: one of the two functions of each l has no strength.
        energies = [e for p in found.projectors for e in p.energies]
        large = [e for e in energies if abs(e) > 1e-12]
        assert len(large) == len(known.projectors)
    with pytest.raises(ValueError, match="without j.*fully relativistic"):
        read_species(tmp_path, spin_orbit=True)


def test_choice_among_files(tmp_path):
    write_ion_xml(tmp_path, "H")
    write_ion_xml(tmp_path, "H", label="H_surface")
    with pytest.raises(ValueError, match="H_surface.* is the second species"):
        read_species(tmp_path)
    assert set(read_species(tmp_path, ["H_surface"])) == {"H"}
    with pytest.raises(ValueError, match=r"no C\.ion\.xml"):
        read_species(tmp_path, ["C"])
    write_orb(tmp_path, "H")
    with pytest.raises(ValueError, match="SIESTA and ABACUS"):
        read_species(tmp_path)
    abacus = tmp_path / "abacus"
    abacus.mkdir()
    with pytest.raises(ValueError, match="of no program"):
        read_species(abacus)
    name = write_orb(abacus, "H").name
    with pytest.raises(ValueError, match=r"no \*\.upf"):
        read_species(abacus)
    write_upf(abacus, "O", 2)
    with pytest.raises(ValueError, match="no .upf file of H, only of O"):
        read_species(abacus)
    write_upf(abacus, "H", 2)
    write_upf(abacus, "H", 1)
    with pytest.raises(ValueError, match="are both of H"):
        read_species(abacus)
    assert set(read_species(abacus, [name], ["H_ONCV.UPF"])) == {"H"}


def test_orbitals_beyond_those_announced(tmp_path):
    # As in ABACUS' own H_gga_8au_100Ry_1s.orb, which holds more than 1s.
    path = write_orb(tmp_path, "H")
    write_upf(tmp_path, "H", 2)
    text = path.read_text()
    fewer = text.replace("Porbital-->       1", "Porbital-->       0")
    assert fewer != text
    (known,) = read_species(tmp_path).values()
    path.write_text(fewer)
    (found,) = read_species(tmp_path).values()
    assert (known.degrees, found.degrees) == ((0, 1), (0,))
    r = np.linspace(0.1, 5.0, 9)
    np.testing.assert_array_equal(found.orbitals[0](r), known.orbitals[0](r))


def test_programs_do_not_mix():
    species = gaussian_species()
    species["O"] = dataclasses.replace(species["O"], damping=True)
    with pytest.raises(ValueError, match="Species of one program"):
        kh.ZerothStep(species)


SIESTA_DAMAGE = {
    "ghost atom": ("<z> 1 ", "<z> -1 "),
    "a mixture of elements": ("<z> 1 ", "<z> 201 "),
    "populations of the orbitals are 0.5": (
        'population=" 1.0"',
        "population='0.5'",
    ),
    "orbital 1: population is missing": ('population=" 1.0"', ""),
    "has 2 nodes <orbital> and announces 3": ("nl> 2", "nl> 3"),
    "no complete .ion.xml": ("</kbs>", ""),
    "orbital 1: npts.* no number|orbital 1 has .* numbers": ("501", "502"),
    "projector 2: ref_energy has no number": ("0.600000000000", "one"),
    "expected j = l": ('j=" 1.5"', 'j=" 2.5"'),
    "vna is missing|vna: npts is missing": ("vna>", "vnb>"),
}


@pytest.mark.parametrize("message", SIESTA_DAMAGE)
def test_damaged_siesta_files(tmp_path, message):
    path = write_ion_xml(tmp_path, "H")
    text = path.read_text()
    old, new = SIESTA_DAMAGE[message]
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message) as error:
        read_species(tmp_path)
    assert str(path) in str(error.value)


UPF_DAMAGE = {
    "no norm-conserving.*'US'": ('"NC"', '"US"'),
    "type is 'PAW'": ('is_ultrasoft="F"', 'is_paw="T"'),
    "type is '1/r'": ('"NC"', '"1/r"'),
    "PP_DIJ is missing": ("PP_DIJ", "PP_DJI"),
    "PP_BETA.3 is missing": ("PP_BETA.3", "PP_BETA.99"),
    "PP_RHOATOM is missing": ("</PP_RHOATOM>", ""),
    "PP_LOCAL has .* numbers; expected: 800": ("<PP_LOCAL>", "<PP_LOCAL> 1.0"),
    "PP_R has no number": ('<PP_R type="real">', '<PP_R type="real"> x'),
    "jjj of PP_RELBETA.1 is missing": ('lll="0" jjj="0.5"', 'lll="0"'),
    "no UPF file of version 1 or 2": ("<PP_HEADER", "<qe_pp:header"),
    "no .upf file of H": ('element="H "', 'element="O"'),
    "which is no element": ('element="H "', 'element="Q"'),
}


@pytest.mark.parametrize("message", UPF_DAMAGE)
def test_damaged_upf_files(tmp_path, message):
    write_orb(tmp_path, "H")
    path = write_upf(tmp_path, "H", 2)
    text = path.read_text()
    old, new = UPF_DAMAGE[message]
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_species(tmp_path)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("Mesh  601", "Mesh  600", "orbital 1 has 604 numbers; expected: 603"),
        ("Sorbital-->       1", "Sorbital-->       2", "announces orbitals"),
        ("Element", "Elements", "no 'Element'"),
        ("0    1    0", "0    x    0", "orbital 2 has no number"),
    ],
)
def test_damaged_orbital_files(tmp_path, old, new, message):
    path = write_orb(tmp_path, "H")
    write_upf(tmp_path, "H", 2)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_species(tmp_path)
