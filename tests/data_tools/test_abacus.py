"""Runs written by `abacus_writer`, which knows nothing of the package."""

import dataclasses
import re

import abacus_writer as made
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from data_tools.abacus import read_abacus
from data_tools.abacus import write_abacus
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics import BlochMatrices
from keras_hamiltonian.physics import solve_bands
from keras_hamiltonian.testing.block_rotation import rotate_blocks_in_numpy

RYDBERG = 13.605698
BOHR = 0.529177
SIDE = 4.0  # Å
# The second atom is nearest to the first across the border of the cell.
EDGE = np.array([-1.1, 0.6, 0.8])
STRU = """ATOMIC_SPECIES
Si 28.0 Si.upf  // a comment
C1 12.0 C.upf
NUMERICAL_ORBITAL
Si_gga_7au_100Ry_1s1p1d.orb # another
C_gga_7au_100Ry_1s1p1d.orb

LATTICE_CONSTANT
{constant}
LATTICE_VECTORS
1 0 0
0 1 0
0 0 1

ATOMIC_POSITIONS
Cartesian_angstrom
Si
0.0
1
0.5 0.5 0.5 1 1 1
C1
0.0
1
{position} 0 0 0
"""
LOG = """ READING ATOM TYPE 1
                               atom label = Si
                      L=0, number of zeta = 1
                      L=1, number of zeta = 1
                      L=2, number of zeta = 1
             number of atom for this type = 1
 READING ATOM TYPE 2
                               atom label = C1
                      L=0, number of zeta = 1
                      L=1, number of zeta = 1
                      L=2, number of zeta = 1
 total electron number of element Si = 4
 AUTOSET number of electrons:  = 8
 EFERMI = 9.0 eV
 E_Fermi                0.5000000000         6.8028490000
"""
ONSITE = np.diag([-1.0] + 3 * [0.2] + 5 * [1.4])
CELLS = [(0, 0, 0), (1, 0, 0), (-1, 0, 0)]


def dense(functions, edge=EDGE, strength=1.0, onsite=ONSITE):
    """H(R) of the pair in file order; atom 1 is in cell (-1, 0, 0)."""
    matrices = {cell: np.zeros((18, 18)) for cell in CELLS}
    matrices[0, 0, 0][:9, :9] = onsite
    matrices[0, 0, 0][9:, 9:] = 2 * onsite
    block = made.edge_block(edge, functions, strength)
    matrices[-1, 0, 0][:9, 9:] = block
    matrices[1, 0, 0][9:, :9] = block.T
    return matrices


def with_spin(matrices, is_interleaved=True):
    """The same for both spins, complex."""
    one = np.eye(2)
    return {
        cell: (np.kron(m, one) if is_interleaved else np.kron(one, m)) + 0j
        for cell, m in matrices.items()
    }


def stru(edge=EDGE):
    position = np.array([0.5, 0.5, 0.5]) + edge + [SIDE, 0, 0]
    return STRU.format(
        constant=repr(SIDE / BOHR),
        position=" ".join(map(repr, map(float, position))),
    )


def structure_lines(edge=EDGE):
    direct = (np.array([0.5, 0.5, 0.5]) + edge) / SIDE + [1, 0, 0]
    return [
        "user_defined_lattice",
        f"{SIDE:.6g}",
        *("1 0 0", "0 1 0", "0 0 1", "Si C1", "1 1", "Direct"),
        "0.125 0.125 0.125",
        " ".join(f"{x:.15g}" for x in direct),
    ]


@pytest.fixture
def write(tmp_path):
    def write_run(layout, hamiltonian, overlap, edge=EDGE, **changes):
        """Changes: file name to text, or `None` to leave it out."""
        if layout == "old":
            matrices = {
                "data-HR-sparse_SPIN0.csr": made.old_file("H", hamiltonian),
                "data-SR-sparse_SPIN0.csr": made.old_file("S", overlap),
            }
        else:
            lines = structure_lines(edge)
            matrices = {
                "hrs1_nao.csr": made.new_file("H", hamiltonian, lines),
                "srs1_nao.csr": made.new_file("S", overlap, lines),
            }
        files = {"../STRU": stru(edge), "running_scf.log": LOG, **matrices}
        output = tmp_path / "run" / "OUT.si"
        output.mkdir(parents=True, exist_ok=True)
        for name, text in {**files, **changes}.items():
            if text is not None:
                (output / name).write_text(text)
        return tmp_path / "run"

    return write_run


@pytest.fixture
def good(write):
    overlap = dense(made.ABACUS, strength=0.05, onsite=np.eye(9))
    overlap[0, 0, 0][9:, 9:] = np.eye(9)
    return lambda layout="new", **changes: write(
        layout, dense(made.ABACUS), overlap, **changes
    )


@pytest.mark.parametrize("layout", ["old", "new"])
def test_numbers_written_by_hand(good, layout):
    found = read_abacus(good(layout))
    assert list(found.atoms.symbols) == ["Si", "C"]
    np.testing.assert_allclose(found.atoms.cell, SIDE * np.eye(3), rtol=1e-12)
    pair = (-1, 0, 0, 0, 1)
    np.testing.assert_allclose(found.edge_vectors([pair])[0], EDGE)
    np.testing.assert_allclose(
        found.hamiltonian.find(pair),
        RYDBERG * made.edge_block(EDGE, made.PACKAGE),
        atol=1e-6,
    )
    np.testing.assert_allclose(
        found.overlap.find(pair),
        0.05 * made.edge_block(EDGE, made.PACKAGE),
        atol=1e-8,
    )
    # p of the first atom, which has an edge to -x: <s|H|p> along the edge.
    row = found.hamiltonian.find(pair)[0, 1:4] / RYDBERG
    np.testing.assert_allclose(
        row, 0.9 * EDGE[[1, 2, 0]] / np.linalg.norm(EDGE), atol=1e-8
    )
    np.testing.assert_allclose(
        np.diag(found.hamiltonian.find((0, 0, 0, 1, 1))),
        2 * RYDBERG * np.diag(ONSITE),
    )
    assert set(found.hamiltonian.index) == set(found.overlap.index)
    assert len(found.hamiltonian) == 4
    assert found.hamiltonian.hermitian_error() < 1e-12
    assert found.basis.to_dict() == {"C": "1s 1p 1d", "Si": "1s 1p 1d"}
    assert found.spin == "none"
    assert found.fermi_level == pytest.approx(6.802849)  # the table's eV
    assert found.num_electrons == 8
    assert found.name == "run"


@pytest.mark.parametrize(
    "functions, rotates", [(made.ABACUS, True), (made.WITHOUT_PHASE, False)]
)
def test_blocks_rotate_with_the_crystal(write, functions, rotates):
    """Only with ABACUS' order and signs do the blocks that are read rotate."""
    rotation = Rotation.from_rotvec([0.4, -0.7, 0.5]).as_matrix()
    pair, blocks = (-1, 0, 0, 0, 1), []
    for edge in (EDGE, rotation @ EDGE):
        overlap = {cell: np.eye(18) * (cell == (0, 0, 0)) for cell in CELLS}
        run = write("old", dense(functions, edge), overlap, edge)
        blocks.append(read_abacus(run).hamiltonian.find(pair))
    rotated = rotate_blocks_in_numpy(blocks[0], [0, 1, 2], rotation)
    assert (np.abs(rotated - blocks[1]).max() < 1e-6) == rotates


@pytest.mark.parametrize("is_interleaved", [True, False])
def test_spin_orbit_coupling(write, is_interleaved):
    """L·S of a p shell: j = 1/2 and 3/2, and no rotation changes it."""
    levi_civita = np.zeros((3, 3, 3))
    for a, b, c in [(0, 1, 2), (1, 2, 0), (2, 0, 1)]:
        levi_civita[a, b, c], levi_civita[a, c, b] = 1, -1
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    frame = np.array(made.ABACUS[1])
    momenta = [frame @ (-1j * e) @ frame.T for e in levi_civita]
    order = (
        (lambda m, s: np.kron(m, s))
        if is_interleaved
        else (lambda m, s: np.kron(s, m))
    )
    coupling = sum(order(m, s) / 2 for m, s in zip(momenta, pauli))
    matrices = with_spin(dense(made.ABACUS), is_interleaved=True)
    matrices[0, 0, 0][2:8, 2:8] += coupling
    overlap = with_spin(
        {cell: np.eye(18) * (cell == (0, 0, 0)) for cell in CELLS}
    )
    found = read_abacus(write("new", matrices, overlap))
    assert found.spin == "noncollinear"
    assert found.overlap.entries.dtype == float
    assert found.hamiltonian.find((-1, 0, 0, 0, 1)).shape == (18, 18)
    block = found.hamiltonian.find((0, 0, 0, 0, 0)) / RYDBERG
    rows = np.concatenate([np.arange(1, 4), np.arange(10, 13)])
    shell = block[np.ix_(rows, rows)] - 0.2 * np.eye(6)
    # `rotate_blocks_in_numpy` wants parts: spins, real and imaginary.
    parts = shell.reshape(2, 3, 2, 3).transpose(0, 2, 1, 3)
    parts = np.stack([parts.real, parts.imag])
    rotation = Rotation.from_rotvec([0.4, -0.7, 0.5]).as_matrix()
    rotated = rotate_blocks_in_numpy(parts, [1], rotation, spin="noncollinear")
    is_invariant = np.abs(rotated - parts).max() < 1e-6
    assert is_invariant == is_interleaved
    if is_interleaved:
        np.testing.assert_allclose(
            np.linalg.eigvalsh(shell), [-1, -1, 0.5, 0.5, 0.5, 0.5], atol=1e-6
        )


def test_two_spins(good):
    up, down = dense(made.ABACUS), dense(made.ABACUS, strength=0.5)
    lines = structure_lines()
    files = {
        "hrs1_nao.csr": made.new_file("H", up, lines, 2, 1),
        "hrs2_nao.csr": made.new_file("H", down, lines, 2, 2),
    }
    found = read_abacus(good(**files))
    assert found.spin == "collinear"
    block = found.hamiltonian.find((-1, 0, 0, 0, 1))
    expected = RYDBERG * made.edge_block(EDGE, made.PACKAGE)
    np.testing.assert_allclose(block[:9, :9], expected, atol=1e-6)
    np.testing.assert_allclose(block[9:, 9:], expected / 2, atol=1e-6)
    assert not block[:9, 9:].any() and not block[9:, :9].any()


def test_pairs_that_only_one_matrix_has(write):
    overlap = {cell: np.eye(18) * (cell == (0, 0, 0)) for cell in CELLS}
    found = read_abacus(write("new", dense(made.ABACUS), overlap))
    assert len(found.overlap) == len(found.hamiltonian) == 4
    assert not found.overlap.find((-1, 0, 0, 0, 1)).any()


def test_overlap_alone(good):
    overlap = dense(made.ABACUS, strength=0.05)
    # `get_s` writes the new name with the old header.
    files = {"hrs1_nao.csr": None, "srs1_nao.csr": None}
    run = good(**files, **{"sr_nao.csr": made.old_file("S", overlap)})
    found = read_abacus(run)
    assert found.hamiltonian is None
    np.testing.assert_allclose(
        found.overlap.find((-1, 0, 0, 0, 1)),
        0.05 * made.edge_block(EDGE, made.PACKAGE),
        atol=1e-8,
    )


def test_where_the_basis_comes_from(good):
    orbital = "  #io    spec    l    m    z  sym\n"
    for atom, label in enumerate(["Si", "C1"]):
        for l in range(3):
            for m in range(2 * l + 1):
                orbital += f"{atom:5d}{label:>8}{l:5d}{m:5d}    1          x\n"
    nameless = stru().replace("1s1p1d", "tuned")
    expected = read_abacus(good()).basis
    bare = {"running_scf.log": None, "../STRU": nameless}
    (good(**bare) / "OUT.si" / "running_scf.log").unlink()
    with pytest.raises(ValueError, match="shells of C, Si are unknown.*basis="):
        read_abacus(good(**bare))
    basis = {"Si": "1s 1p 1d", "C": "1s 1p 1d"}
    assert read_abacus(good(**bare), basis=basis).basis == expected
    assert read_abacus(good(**bare, Orbital=orbital)).basis == expected
    run = good(**{"running_scf.log": None})
    (run / "OUT.si" / "Orbital").unlink()
    assert read_abacus(run).basis == expected  # names in STRU


def test_structure_of_the_matrix_file(good):
    run = good()
    (run / "STRU").unlink()
    found = read_abacus(run)
    np.testing.assert_allclose(
        found.edge_vectors([(-1, 0, 0, 0, 1)])[0], EDGE, atol=1e-5
    )
    # STRU may list an atom in another cell: the matrices' cells count.
    moved = stru(EDGE - np.array([SIDE, 0, 0]))
    found = read_abacus(good(**{"../STRU": moved}))
    np.testing.assert_allclose(
        found.edge_vectors([(-1, 0, 0, 0, 1)])[0], EDGE, atol=1e-9
    )
    # INPUT names another file.
    run = good(**{"../INPUT": "INPUT_PARAMETERS\nstru_file other.stru # x\n"})
    (run / "STRU").rename(run / "other.stru")
    assert len(read_abacus(run).atoms) == 2


@pytest.mark.parametrize("layout", ["old", "new"])
@pytest.mark.parametrize("name", ["graphene", "mos2", "bismuthene"])
def test_real_calculations_come_back(data_folder, tmp_path, layout, name):
    calculation = HamiltonianStore(data_folder / f"reference_{name}.h5")[0]
    order = write_abacus(tmp_path / "run", calculation, layout)
    assert order.tolist() == list(range(len(calculation.atoms)))
    found = read_abacus(tmp_path / "run")
    k_points = [[0.13, 0.21, 0]]
    np.testing.assert_allclose(
        solve_bands(BlochMatrices.from_calculation(found), k_points),
        solve_bands(BlochMatrices.from_calculation(calculation), k_points),
        atol=1e-9,
    )
    assert found.spin == calculation.spin
    assert found.fermi_level == calculation.fermi_level
    np.testing.assert_allclose(
        found.atoms.positions, calculation.atoms.positions, atol=1e-12
    )


def test_atoms_are_sorted_by_element(data_folder, tmp_path):
    calculation = HamiltonianStore(data_folder / "reference_mos2.h5")[0]
    new_place = np.array([1, 0, 2])  # Mo S S becomes S Mo S
    matrices = {}
    for field in ("hamiltonian", "overlap"):
        matrix = getattr(calculation, field)
        pairs = matrix.atom_pairs.copy()
        pairs[:, 3:] = new_place[pairs[:, 3:]]
        matrices[field] = BlockMatrix(pairs, matrix.shapes, matrix.entries)
    mixed = dataclasses.replace(
        calculation,
        atoms=calculation.atoms[[1, 0, 2]],
        initial_hamiltonian=None,
        **matrices,
    )
    assert write_abacus(tmp_path / "run", mixed).tolist() == [0, 2, 1]
    found = read_abacus(tmp_path / "run")
    assert list(found.atoms.symbols) == ["S", "S", "Mo"]
    np.testing.assert_allclose(
        found.hamiltonian.find((1, 0, 0, 2, 0)),
        calculation.hamiltonian.find((1, 0, 0, 0, 1)),
        atol=1e-12,
    )


def cut(text):
    return text[: int(len(text) * 0.6)]


OLD = "data-HR-sparse_SPIN0.csr"


@pytest.mark.parametrize(
    "layout, name, change, message",
    [
        ("new", "hrs1_nao.csr", cut, "ends within the matrix of cell"),
        ("old", OLD, cut, "ends within the matrix of cell 3 of 3"),
        ("new", "hrs1_nao.csr", lambda t: t[:200], "lacks the line"),
        ("new", "hrs1_nao.csr", lambda t: t + t, "holds 2 ionic steps"),
        ("new", "hrs1_nao.csr", lambda t: "PK\x03\x04", "version known here"),
        (
            "new",
            "hrs1_nao.csr",
            lambda t: t.replace("1 # number of spin", "2 # number of spin"),
            r"spin-polarised run \(nspin 2\).*hrs2_nao.csr",
        ),
        (
            "new",
            "hrs1_nao.csr",
            lambda t: t.replace("\n\n #-", "\n# gamma-only folded matrix\n #-"),
            "gamma-only run.*gamma_only 0",
        ),
        ("old", OLD, lambda t: t[: t.index("\n1 0 0")], "lacks its inverse"),
        ("old", OLD, lambda t: t.replace(": 3", ": 4"), "announces 4"),
        ("old", OLD, lambda t: t.replace("e+00", "e+00x", 1), "is damaged"),
        ("old", OLD, lambda t: t.replace(" 17", " 18", 1), "expected 0 to 17"),
        ("new", "srs1_nao.csr", None, "holds 0 overlaps; expected one, srs1"),
        ("new", "../STRU", lambda t: t.replace("C1", "C_empty"),
         "Empty and ghost"),
        ("new", "../STRU", lambda t: t.replace("0.5 0.5 0.5", "0.9 0.5 0.5"),
         "not the structure of the matrices"),
        ("old", "../STRU", None, "structure is unknown.*`structure`"),
        ("old", "../STRU", lambda t: t.replace("LATTICE_V", "V"),
         "no section LATTICE_VECTORS"),
        ("old", "../STRU", lambda t: t.replace("Cartesian_angstrom", "Odd"),
         "'Odd'; known are Direct"),
        ("old", "../STRU", lambda t: t.replace("C1\n0.0\n1", "C1\n0.0\n2"),
         "announces 2 atoms of C and lists 1"),
        ("old", "running_scf.log", lambda t: t.replace("L=2", "L=3", 1),
         "have 20, or 40 with spin"),
    ],
)  # fmt: skip
def test_runs_that_cannot_be_read(good, layout, name, change, message):
    run = good(layout)
    path = run / "OUT.si" / name
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=message) as error:
        read_abacus(run)
    assert str(run) in str(error.value)


def test_folders_that_are_no_run(good, tmp_path):
    with pytest.raises(ValueError, match="no folder of an ABACUS run.*out_mat"):
        read_abacus(tmp_path)
    run = good()
    (run / "OUT.si" / "data-SR-sparse_SPIN0.csr").write_text("x")
    with pytest.raises(ValueError, match="two generations"):
        read_abacus(run)


def test_what_cannot_be_written(good, tmp_path):
    calculation = read_abacus(good())
    with pytest.raises(ValueError, match="no `overlap`"):
        write_abacus(
            tmp_path / "x", dataclasses.replace(calculation, overlap=None)
        )
    with pytest.raises(ValueError, match="'newest'"):
        write_abacus(tmp_path / "x", calculation, "newest")
    with pytest.raises(ValueError, match="run is not empty"):
        write_abacus(tmp_path / "run", calculation)
    assert not (tmp_path / "x").exists()
    assert not [p for p in tmp_path.iterdir() if re.match(r"\..", p.name)]
