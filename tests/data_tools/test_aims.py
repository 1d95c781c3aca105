"""Runs written by `aims_writer`, which knows nothing of the package."""

import abacus_writer
import h5py
import numpy as np
import pytest
from aims_writer import CELL
from aims_writer import ONSITE
from aims_writer import POSITIONS
from aims_writer import geometry
from aims_writer import matrices
from aims_writer import write_aims

from data_tools.aims import read_aims
from data_tools.formats import detect_format
from data_tools.formats import read_calculation

HARTREE = 27.2113845
LOG = """
  The structure contains  2 atoms,  and a total of         20.000 electrons.
  | Chemical potential (Fermi level):    -1.00000000 eV
  | Chemical potential (Fermi level):    -8.24271207 eV
"""


@pytest.fixture
def run(tmp_path):
    write_aims(tmp_path / "run", geometry(), matrices())
    (tmp_path / "run" / "aims.out").write_text(LOG)
    return tmp_path / "run"


def misfit(calculation, functions=abacus_writer.PACKAGE):
    """Largest difference from the blocks that the edges ask for."""
    edges = calculation.edge_vectors(calculation.overlap.atom_pairs)
    found = 0.0
    for position, edge in enumerate(edges):
        length = np.linalg.norm(edge)
        if length > 1e-9:
            scale = np.exp(-1.5 * length)
            block = abacus_writer.edge_block(edge, functions, scale)
            energies = calculation.hamiltonian.block(position)
            found = max(
                found,
                np.abs(calculation.overlap.block(position) - 0.6 * block).max(),
                np.abs(energies / HARTREE + 2.0 * block).max(),
            )
    return found


def test_blocks_follow_their_edges(run):
    found = read_aims(run)
    assert detect_format(run) == "fhi-aims"
    assert found.basis.to_dict() == {"C": "1s 1p 1d", "Si": "1s 1p 1d"}
    assert len(found.overlap) > 20
    assert misfit(found) < 1e-12
    onsite = found.hamiltonian.find((0, 0, 0, 0, 0))
    np.testing.assert_allclose(onsite, HARTREE * np.diag(ONSITE))
    assert found.hamiltonian.hermitian_error() == 0
    assert (found.fermi_level, found.num_electrons) == (-8.24271207, 20.0)
    assert (found.name, found.spin) == ("run", "none")


def test_signs_count(tmp_path):
    """The control: with the package's signs in the file it does not fit."""
    wrong = matrices(abacus_writer.PACKAGE)
    write_aims(tmp_path / "run", geometry(), wrong)
    assert misfit(read_aims(tmp_path / "run")) > 1e-3


def test_direction_of_cells(tmp_path):
    """The control: with R for -R the overlap does not fall."""
    wrong = {
        name: {tuple(-x for x in cell): m for cell, m in by_cell.items()}
        for name, by_cell in matrices().items()
    }
    write_aims(tmp_path / "run", geometry(), wrong)
    with pytest.raises(ValueError, match="the cell of the column"):
        read_aims(tmp_path / "run")


@pytest.mark.parametrize("move", [(1, 0, 0), (0, -2, 1)])
def test_atoms_that_were_moved_into_the_cell(run, move):
    moved = POSITIONS + np.array([move, (0, 0, 0)]) @ CELL
    (run / "geometry.in").write_text(geometry(moved))
    assert misfit(read_aims(run)) < 1e-12


def test_fractional_positions(run):
    fractional = POSITIONS @ np.linalg.inv(CELL)
    text = geometry(fractional).replace("atom ", "atom_frac ")
    (run / "geometry.in").write_text(text)
    assert misfit(read_aims(run)) < 1e-9


def test_hdf5(run, tmp_path):
    write_aims(tmp_path / "h5", geometry(), matrices(), is_hdf5=True)
    plain, found = read_aims(run), read_aims(tmp_path / "h5")
    assert found.hamiltonian == plain.hamiltonian
    assert found.overlap == plain.overlap
    with h5py.File(tmp_path / "h5" / "rs_overlap.h5", "a") as file:
        numbers = file["sparse_matrix"][()] * (1 + 1j)
        del file["sparse_matrix"]
        file["sparse_matrix"] = numbers
    with pytest.raises(ValueError, match="complex128; expected real ones"):
        read_aims(tmp_path / "h5")
    (run / "rs_overlap.h5").write_bytes(b"")
    with pytest.raises(ValueError, match="holds 2 files of rs_overlap"):
        read_aims(run)


@pytest.mark.parametrize(
    "names, is_hdf5",
    [
        (("rs_hamiltonian_up", "rs_hamiltonian_dn"), False),
        (("rs_hamiltonian_up", "rs_hamiltonian_down"), True),
    ],
)
def test_collinear_spin(names, is_hdf5, run, tmp_path):
    folder = tmp_path / "spin"
    write_aims(folder, geometry(), matrices(names=names), is_hdf5=is_hdf5)
    found, plain = read_aims(folder), read_aims(run).hamiltonian
    assert found.spin == "collinear"
    for pair, block in zip(found.hamiltonian.index, found.hamiltonian.blocks()):
        half = len(block) // 2
        np.testing.assert_allclose(block[:half, :half], plain.find(pair))
        np.testing.assert_allclose(block[half:, half:], 2 * plain.find(pair))
        assert not block[:half, half:].any()
    next(folder.glob("*_up.*")).unlink()
    with pytest.raises(ValueError, match="expected rs_hamiltonian, or"):
        read_aims(folder)


def test_a_molecule(tmp_path):
    alone = matrices(cell=None)
    write_aims(tmp_path / "run", geometry(cell=None), alone)
    found = read_aims(tmp_path / "run")
    assert not found.atoms.pbc.any() and len(found.overlap) == 4
    assert misfit(found) < 1e-12
    (tmp_path / "run" / "geometry.in").write_text(geometry())
    with pytest.raises(ValueError, match="a run without periodic cells"):
        read_aims(tmp_path / "run")


def test_without_a_hamiltonian(run):
    (run / "rs_hamiltonian.out").unlink()
    found = read_calculation(run)
    assert found.hamiltonian is None and len(found.overlap) > 20


def test_spin_orbit_coupling_is_not_in_the_files(run):
    (run / "control.in").write_text("xc pbe\ninclude_spin_orbit\n")
    with pytest.warns(UserWarning, match="they are without it"):
        read_aims(run)


def replaced(name, old, new, count=1):
    def change(run):
        text = (run / name).read_text()
        assert old in text
        (run / name).write_text(text.replace(old, new, count))

    return change


def cut(name, share):
    def change(run):
        data = (run / name).read_bytes()
        (run / name).write_bytes(data[: int(share * len(data))])

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (cut("rs_indices.out", 0.9), "rs_indices.out ends within a section"),
        (cut("rs_indices.out", 0.2), "rs_indices.out has the sections"),
        (cut("rs_indices.out", 0.001), "rs_indices.out, line 1: expected"),
        (cut("rs_overlap.out", 0.5), "rs_overlap.out has .* numbers"),
        (
            replaced(
                "rs_indices.out", "n_basis:           18", "n_basis: 9999999"
            ),
            "announces .* 9999999. numbers, cells and orbitals",
        ),
        (
            replaced("rs_indices.out", "column_index", "columns"),
            "has the sections cell_index",
        ),
        (
            replaced(
                "rs_indices.out", "          1          2", "   1   999999"
            ),
            "do not follow one another",
        ),
        (
            lambda run: (run / "rs_overlap.out").write_text(
                "nan\n" + (run / "rs_overlap.out").read_text().split("\n", 1)[1]
            ),
            "rs_overlap.out has numbers that are none, first in line 1",
        ),
        (
            replaced("basis-indices.out", "hydro      1", "hydro      2"),
            "basis-indices.out: orbital 5 begins no shell",
        ),
        (  # -l to l are more numbers than the memory holds
            replaced("basis-indices.out", "2   0   0", "2 99999999999 0"),
            "basis-indices.out: orbital 1 begins no shell",
        ),
        (
            replaced("basis-indices.out", "   18 hydro", "   18 hydro x"),
            "basis-indices.out: orbital 14 begins no shell",
        ),
        (
            replaced("geometry.in", "atom 1.5", "empty 1.5"),
            "geometry.in, line 5: 'empty' is no atom",
        ),
        (
            replaced("geometry.in", "Si", "Hollow"),
            "geometry.in, line 5 has atoms labelled 'Hollow'",
        ),
        (
            lambda run: (run / "geometry.in").unlink(),
            "geometry.in is missing",
        ),
    ],
)
def test_what_is_refused(run, change, message):
    change(run)
    with pytest.raises(ValueError, match=message):
        read_aims(run)
