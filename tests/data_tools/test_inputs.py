"""Inputs of new structures, read back; only the structure may change."""

import gzip
import pathlib
import re
import warnings

import ase.build
import numpy as np
import pytest

from data_tools.abacus_input import read_stru
from data_tools.inputs import write_inputs
from data_tools.openmx_input import input_section
from data_tools.openmx_input import read_openmx_input

DATA = pathlib.Path(__file__).parents[1] / "data"
FDF = """
SystemLabel old
NumberOfSpecies 2
%block ChemicalSpeciesLabel
  1  7 N
  2  6 C  # carbon
%endblock ChemicalSpeciesLabel
PAO.BasisSize DZP
Lattice-Constant 2.46 Ang
%block LatticeVectors
 1.0 0.0 0.0
 -0.5 0.8660254 0.0
 0.0 0.0 6.0
%endblock LatticeVectors
number_of_atoms 2
AtomicCoordinatesFormat Fractional
%block AtomicCoordinatesAndAtomicSpecies
 0 0 0 2
 0.333 0.667 0 1
%endblock AtomicCoordinatesAndAtomicSpecies
%block kgrid.MonkhorstPack
 12 0 0 0.0
 0 12 0 0.0
 0 0 1 0.5
%endblock kgrid.MonkhorstPack
Save.HS true
"""
STRU = """ATOMIC_SPECIES
N 14.007 N.upf
C 12.011 C.upf upf201
NUMERICAL_ORBITAL
N_2s2p1d.orb
C_2s2p1d.orb
LATTICE_CONSTANT
1.8897261
LATTICE_VECTORS
2.46 0 0
-1.23 2.1304 0
0 0 15
ATOMIC_POSITIONS
Direct
N
0.0
1
0.3333 0.6667 0 1 1 1
C
0.0
1
0 0 0 1 1 1
"""
INPUT = """INPUT_PARAMETERS
calculation scf
ecutwfc 100
latname hexagonal
ntype 2
out_mat_hs2 1
pseudo_dir ../upf
"""
KPT = "K_POINTS\n0\nGamma\n12 12 1 0 0 0\n"


@pytest.fixture
def supercell():
    atoms = ase.build.graphene(a=2.46, vacuum=7.5) * (3, 2, 1)
    atoms.rattle(0.05, seed=0)
    return atoms


@pytest.fixture
def openmx(tmp_path):
    text = gzip.decompress((DATA / "graphene_prim.dat.gz").read_bytes())
    path = tmp_path / "runs" / "openmx.dat"
    path.parent.mkdir()
    path.write_bytes(text)
    return path


@pytest.fixture
def siesta(tmp_path):
    path = tmp_path / "old.fdf"
    path.write_text(FDF)
    (tmp_path / "C.psml").write_text("potential")
    return path


@pytest.fixture
def abacus(tmp_path):
    folder = tmp_path / "runs" / "old"
    folder.mkdir(parents=True)
    for name, text in (("STRU", STRU), ("INPUT", INPUT), ("KPT", KPT)):
        (folder / name).write_text(text)
    return folder


def test_openmx(openmx, supercell, tmp_path):
    species = tmp_path / "DFT_DATA19"
    species.mkdir()
    write_inputs(openmx, {"a": supercell, "b": supercell}, tmp_path / "next")
    text = (tmp_path / "next" / "a" / "a.dat").read_text()
    lines = input_section(text, "Atoms.SpeciesAndCoordinates")
    assert [line[:2] for line in lines[:2]] == [["1", "C"], ["2", "C"]]
    assert {tuple(line[5:]) for line in lines} == {("2.0", "2.0")}
    positions = np.array([line[2:5] for line in lines], float)
    np.testing.assert_allclose(positions, supercell.positions, atol=1e-12)
    cell = np.array(input_section(text, "Atoms.UnitVectors"), float)
    np.testing.assert_allclose(cell, supercell.cell[:], atol=1e-12)
    for line in (
        "Atoms.Number 12",
        "Atoms.SpeciesAndCoordinates.Unit Ang",
        "scf.Kgrid 4 6 1",
        "System.Name a",
        f"DATA.PATH {species}",
    ):
        assert f"\n{line}\n" in text
    # All else is as it was.
    before = openmx.read_text()
    assert set(before.splitlines()) - set(text.splitlines()) == {
        line
        for line in before.splitlines()
        if line.startswith(("System.", "DATA", "Atoms.", "scf.Kgrid", " "))
        and line not in text.splitlines()
    }
    new = read_openmx_input(tmp_path / "next" / "b" / "b.dat")
    assert new == read_openmx_input(openmx)


@pytest.mark.parametrize(
    "line, message",
    [
        ("scf.Ngrid 32 32 120", "scf.Ngrid 32 32 120, which changes H⁰"),
        ("scf.Electric.Field 0.0 0.0 0.1  # GV/m", "Field 0.0 0.0 0.1, which"),
        ("scf.Hubbard.U on", "scf.Hubbard.U on, which changes H⁰"),
        ("scf.Electric.Field 0.0 0.0 0.0", None),
        ("scf.Hubbard.U off", None),
    ],
)
def test_what_changes_h0_in_openmx(line, message, openmx):
    known = read_openmx_input(openmx)
    openmx.write_text(f"{openmx.read_text()}\n{line}\n")
    if message is None:
        assert read_openmx_input(openmx) == known
        return
    with pytest.raises(ValueError, match=message):
        read_openmx_input(openmx)


def test_numbers_in_openmx(openmx):
    text = openmx.read_text()
    fortran = re.sub(r"(?m)^(scf.energycutoff).*", r"\1 2.0d2", text)
    openmx.write_text(fortran)
    assert read_openmx_input(openmx).grid_cutoff == 200
    openmx.write_text(text.replace(" 2.0 2.0\n", " 2.0\n", 1))
    with pytest.raises(ValueError, match="Coordinates, line 1 has 1 numbers"):
        read_openmx_input(openmx)


def test_siesta(siesta, supercell, tmp_path):
    write_inputs(siesta, {"a": supercell}, tmp_path / "next")
    file = tmp_path / "next" / "a" / "a.fdf"
    assert (file.parent / "C.psml").read_text() == "potential"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sisl = pytest.importorskip("sisl")
        sile = sisl.get_sile(file)
        geometry = sile.read_geometry()
    np.testing.assert_allclose(geometry.xyz, supercell.positions, atol=1e-9)
    np.testing.assert_allclose(geometry.cell, supercell.cell[:], atol=1e-9)
    assert set(geometry.atoms.Z) == {6}
    assert sile.get("SystemLabel") == "a" and sile.get("SaveHS")
    assert sile.get("PAO.BasisSize") == "DZP"
    grid = [line.split() for line in sile.get("kgrid_Monkhorst_Pack")]
    assert [row[k] for k, row in enumerate(grid)] == ["4", "6", "1"]
    assert float(grid[2][3]) == 0.5


def test_abacus(abacus, supercell, tmp_path):
    (abacus.parent / "upf").mkdir()
    write_inputs(abacus, {"a": supercell}, tmp_path / "next")
    folder = tmp_path / "next" / "a"
    atoms, orbitals = read_stru(folder / "STRU")
    assert orbitals == {"C": "C_2s2p1d.orb"}
    np.testing.assert_allclose(atoms.positions, supercell.positions, atol=1e-9)
    np.testing.assert_allclose(atoms.cell, supercell.cell, atol=1e-9)
    assert "C 12.011 C.upf upf201" in (folder / "STRU").read_text()
    assert "\n4 6 1 0 0 0\n" in (folder / "KPT").read_text()
    words = dict(
        x.split() for x in (folder / "INPUT").read_text().split("\n")[1:-1]
    )
    assert words["ntype"] == "1" and words["latname"] == "none"
    assert words["pseudo_dir"] == str(abacus.parent / "upf")
    assert words["ecutwfc"] == "100"


@pytest.mark.parametrize(
    "kind, old, new, message",
    [
        ("openmx", "HS.fileout on", "HS.fileout off", "Add HS.fileout on"),
        ("openmx", "MD.Type nomd", "MD.Type RF", "moves the atoms"),
        ("openmx", " 2 C ", " 2 C1 ", "as C and as C1"),
        ("siesta", "Save.HS true", "", "Add SaveHS true"),
        ("siesta", "Save.HS true", "SaveHS\nMD.Steps 5", "moves the atoms"),
        ("siesta", "Save.HS true", "%include x.fdf", "includes other files"),
        ("siesta", " 0 12 0 0.0", " 3 12 0 0.0", "oblique grid"),
        ("siesta", "PAO.BasisSize", "%block Zmatrix", "zmatrix"),
        ("INPUT", "out_mat_hs2 1", "", "Add out_mat_hs2 1"),
        ("INPUT", "calculation scf", "calculation relax", "Set it to scf"),
        ("KPT", "Gamma", "Line", "no grid"),
    ],
)
def test_templates_that_would_mislead(
    kind, old, new, message, request, supercell, tmp_path
):
    is_abacus = kind in ("INPUT", "KPT")
    template = request.getfixturevalue("abacus" if is_abacus else kind)
    file = template / kind if is_abacus else template
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        write_inputs(template, {"a": supercell}, tmp_path / "next")
    assert not (tmp_path / "next").exists()


@pytest.mark.parametrize("kind", ["openmx", "siesta", "abacus"])
def test_other_elements_are_refused(kind, request, tmp_path):
    template = request.getfixturevalue(kind)
    atoms = ase.Atoms("S", cell=[3, 3, 3], pbc=True)
    with pytest.raises(ValueError, match="S, which 'a' has"):
        write_inputs(template, {"a": atoms}, tmp_path / "next")


def test_what_is_no_template(tmp_path, supercell):
    (tmp_path / "x.dat").write_text("Atoms.Number 2\n")
    with pytest.raises(ValueError, match="is no template"):
        write_inputs(tmp_path / "x.dat", {"a": supercell}, tmp_path / "next")
