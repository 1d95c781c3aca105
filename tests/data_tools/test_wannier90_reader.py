"""`_hr.dat` files: back from our export, and as wannier90 lays them out."""

import dataclasses

import ase
import numpy as np
import pytest
import scipy.sparse
from abacus_writer import PACKAGE
from aims_writer import CELL
from aims_writer import ONSITE
from aims_writer import POSITIONS
from aims_writer import crystal_matrices
from test_wannier90 import bands
from test_wannier90 import read_hr
from test_wannier90 import read_reference

from data_tools.cell_matrices import blocks_of_stack
from data_tools.formats import find_sources
from data_tools.formats import read_calculation
from data_tools.wannier90 import export_wannier90
from data_tools.wannier90_reader import read_wannier90
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics import BlochMatrices
from keras_hamiltonian.physics import solve_bands

K_POINTS = np.random.default_rng(0).uniform(size=(4, 3)) * [1, 1, 0]


# === Our own files ===


@pytest.mark.filterwarnings("ignore:.*denser grid")
@pytest.mark.parametrize(
    "name, sizes", [("graphene", (6, 5, 1)), ("bismuthene", (2, 2, 1))]
)
def test_bands_of_an_export(data_folder, tmp_path, name, sizes):
    known = read_reference(data_folder, name)
    path = tmp_path / "x_hr.dat"
    export_wannier90(known, path, sizes)
    found = read_calculation(path)
    assert (found.basis, found.spin) == (known.basis, known.spin)
    assert found.fermi_level == pytest.approx(known.fermi_level)
    np.testing.assert_allclose(
        found.atoms.positions, known.atoms.positions, atol=1e-9
    )
    expected = bands(read_hr(path), K_POINTS)
    energies = solve_bands(BlochMatrices.from_calculation(found), K_POINTS)
    np.testing.assert_allclose(energies, expected, atol=1e-9, rtol=0)
    # The control: degeneracies count.
    lines = path.read_text().splitlines(keepends=True)
    last = 3 + -(-int(lines[2]) // 15)
    lines[3:last] = [" ".join("1" for _ in x.split()) for x in lines[3:last]]
    lines[3:last] = [f"{x}\n" for x in lines[3:last]]
    path.write_text("".join(lines))
    wrong = BlochMatrices.from_calculation(read_wannier90(path))
    assert np.abs(solve_bands(wrong, K_POINTS) - expected).max() > 1e-3


def orthogonal_crystal():
    """s, p and d shells along their edges; S = 1."""
    atoms = ase.Atoms("SiC", POSITIONS, cell=CELL, pbc=True)
    matrices = crystal_matrices(
        POSITIONS, CELL, PACKAGE, ONSITE, -9.0, reach=3.0
    )
    stack = np.concatenate(list(matrices.values()))
    hamiltonian = blocks_of_stack(
        np.array(list(matrices)), scipy.sparse.csr_matrix(stack), [9, 9]
    )
    onsite = [(0, 0, 0, 0, 0), (0, 0, 0, 1, 1)]
    return Calculation(
        atoms,
        OrbitalBasis(dict.fromkeys(("Si", "C"), "1s 1p 1d")),
        hamiltonian=hamiltonian,
        overlap=BlockMatrix.from_blocks(onsite, [np.eye(9)] * 2),
    )


@pytest.mark.parametrize("spin", ["none", "collinear", "noncollinear"])
def test_blocks_of_an_export(tmp_path, spin):
    known = orthogonal_crystal()
    if spin != "none":
        box = {
            "collinear": [[1, 0], [0, 2]],
            "noncollinear": [[1, 0.3 - 0.2j], [0.3 + 0.2j, 2]],
        }[spin]
        blocks = [np.kron(box, block) for block in known.hamiltonian.blocks()]
        matrix = BlockMatrix.from_blocks(known.hamiltonian.atom_pairs, blocks)
        known = dataclasses.replace(known, spin=spin, hamiltonian=matrix)
    export_wannier90(known, tmp_path / "x_hr.dat", (3, 3, 3))
    found = read_wannier90(tmp_path / "x_hr.dat")
    assert found.spin == spin and found.basis == known.basis
    for pair, block in zip(known.hamiltonian.index, known.hamiltonian.blocks()):
        read = found.hamiltonian.find(pair)
        np.testing.assert_allclose(read, block, atol=1e-10)
    edges = found.edge_vectors(found.overlap.atom_pairs)
    for edge, overlap in zip(edges, found.overlap.blocks()):
        at_home = np.linalg.norm(edge) < 1e-9
        np.testing.assert_array_equal(overlap, np.eye(9) * at_home)
    if spin == "none":
        # The control: the blocks hang on the order of m.
        pair = next(p for p in known.hamiltonian.index if p[3] != p[4])
        first = found.hamiltonian.find(pair)[1:4]
        assert np.abs(first - first[[1, 2, 0]]).max() > 1e-3


# === Files as wannier90 lays them out ===


WIN = """num_wann = {number}
! a comment with begin projections
num_iter : 0   # another
Fermi_Energy 1.5
{keywords}
Begin Unit_Cell_Cart
bohr
7.558904531 0 0
0 7.558904531 0
0 0 18.89726133
End Unit_Cell_Cart
begin atoms_frac
{first} 0 0 0.5
C 0.5 0.5 0.5
end atoms_frac
begin projections
{projections}
end projections
"""


def write(folder, projections, number, keywords="", first="C", cell=0):
    """H(0)_mn = 100 m + n for m ≤ n, m and n from 1."""
    text = WIN.format(
        number=number, keywords=keywords, first=first, projections=projections
    )
    (folder / "x.win").write_text(text)
    lines = [" written on a day", f"{number:12d}", f"{1:12d}", f"{1:5d}"]
    for n in range(1, number + 1):
        for m in range(1, number + 1):
            value = 100 * min(m, n) + max(m, n)
            lines.append(f"{cell:5d}    0    0{m:5d}{n:5d}{value:12.6f}    0.0")
    (folder / "x_hr.dat").write_text("\n".join(lines) + "\n")
    return folder / "x_hr.dat"


def expected_block(rows, columns):
    rows, columns = np.meshgrid(rows, columns, indexing="ij")
    return 100 * np.minimum(rows, columns) + np.maximum(rows, columns)


# Numbers of the functions s, p = (y, z, x), d = (xy, yz, z², xz, x²-y²) of both
# atoms, by the order that the source of wannier90 3 gives them.
ORDERS = [
    # Atoms of a line before its functions, degrees upwards.
    ("C:p;s", [1, 4, 2, 3], [5, 8, 6, 7]),
    ("C : l=0;l=1", [1, 4, 2, 3], [5, 8, 6, 7]),
    # A line after the other.
    ("C:s\nC:p", [1, 5, 3, 4], [2, 8, 6, 7]),
    ("C:d", [5, 3, 1, 2, 4], [10, 8, 6, 7, 9]),
    # Components of one shell on several lines, sites in coordinates.
    (
        "bohr\nC:s\nf=0,0,0.5:px,py\nc=0,0,9.448630665:l=1,mr=1\n"
        "f=0.5,0.5,0.5:l=1:z=0,0,1:r=2:zona=1.5",
        [1, 4, 5, 3],
        [2, 8, 6, 7],
    ),
    # Two shells of one degree.
    ("C:s;p\nC:p:r=2", [1, 4, 2, 3, 11, 9, 10], [5, 8, 6, 7, 14, 12, 13]),
]


@pytest.mark.parametrize("projections, one, two", ORDERS)
def test_order_of_projections(projections, one, two, tmp_path):
    path = write(tmp_path, projections, len(one) + len(two))
    found = read_wannier90(path)
    assert found.fermi_level == 1.5
    np.testing.assert_allclose(np.diag(found.atoms.cell)[:2], [4, 4], rtol=1e-8)
    for (i, rows), (j, columns) in (
        ((0, one), (0, one)),
        ((0, one), (1, two)),
        ((1, two), (1, two)),
    ):
        np.testing.assert_array_equal(
            found.hamiltonian.find((0, 0, 0, i, j)),
            expected_block(rows, columns),
        )


@pytest.mark.parametrize(
    "projections, order, up",
    [
        ("C:s;p", "projections", [1, 7, 3, 5]),
        ("C:s;p(u,d)[0,0,1]", "projections", [1, 7, 3, 5]),
        ("C:s;p", "blocks", [1, 4, 2, 3]),
        ("C:s;p(u)\nC:s;p(d)", "projections", [1, 4, 2, 3]),
    ],
)
def test_order_of_spinors(projections, order, up, tmp_path):
    path = write(tmp_path, projections, 16, "spinors = .true.")
    found = read_wannier90(path, spin_order=order)
    down = np.array(up) + (1 if max(up) == 7 else 8)
    assert found.spin == "noncollinear" and found.basis.to_dict() == {
        "C": "1s 1p"
    }
    rows = [*up, *down]
    block = found.hamiltonian.find((0, 0, 0, 0, 0))
    np.testing.assert_array_equal(block, expected_block(rows, rows))


def test_a_site_in_another_cell(tmp_path):
    """Its function belongs to the atom's image."""
    path = write(tmp_path, "f=0,0,0.5:s\nf=1.5,-0.5,0.5:s", 2)
    found = read_wannier90(path).hamiltonian
    assert found.find((1, -1, 0, 0, 1)).item() == 102
    assert found.find((-1, 1, 0, 1, 0)).item() == 102
    assert found.find((0, 0, 0, 1, 1)).item() == 202


def test_centres(tmp_path):
    path = write(tmp_path, "C:s", 2)
    text = "4\n\nX 0 0 {}\nX 2 -2 5\nC 0 0 5\nC 2 2 5\n"
    (tmp_path / "x_centres.xyz").write_text(text.format(5.1))
    read_wannier90(path)
    (tmp_path / "x_centres.xyz").write_text(text.format(5.9))
    with pytest.raises(ValueError, match="function 1 is 0.90 Å from atom 1"):
        read_wannier90(path)


def test_minimised_functions_warn(tmp_path):
    path = write(tmp_path, "C:s", 2)
    win = tmp_path / "x.win"
    win.write_text(win.read_text().replace("num_iter : 0", "num_iter = 100"))
    with pytest.warns(UserWarning, match="num_iter is not 0.*energies are"):
        read_wannier90(path)


@pytest.mark.parametrize(
    "projections, number, options, message",
    [
        ("C:sp3", 8, {}, r"x.win, line \d+ is no projection.*'c:sp3'"),
        ("C:pz", 2, {}, "projections on atom 1 .C. are no whole shells"),
        ("C:l=1,mr=4", 2, {}, "is no projection known here"),
        ("random", 2, {}, "line .* is no projection known here: 'random'"),
        ("C:p:z=1,1,1", 6, {}, "turns the axes of functions: 'z=1,1,1'"),
        ("C:p:x=0,1,0", 6, {}, "turns the axes of functions"),
        ("C:s[1,0,0]", 2, {}, "turns the spin axis"),
        ("f=0.1,0,0.5:s", 1, {}, "on no atom; the nearest is 0.40 Å away"),
        ("Si:s", 2, {}, "there are no atoms 'si'"),
        ("f=0,0,0.5:s", 1, {}, "on atom 2 .C. are none, and no whole shells"),
        ("C:s", 2, {"first": "Zz"}, "x.win has atoms labelled 'Zz'"),
        ("C:s;p", 2, {}, "2 Wannier functions, and .*x.win 8 projections"),
        ("C:s(u)", 2, {"keywords": "spinors = T"}, "same for both spins"),
        ("C:s", 2, {"keywords": "spin = up"}, "spin = up, so its functions"),
        ("C:s", 2, {"keywords": "auto_projections = true"}, "auto_projections"),
        ("f=0,0,0.5:s;p\nf=.5,.5,.5:s", 5, {}, "gives C the shells"),
    ],
)
def test_orbitals_that_do_not_fit(
    projections, number, options, message, tmp_path
):
    path = write(tmp_path, projections, number, **options)
    with pytest.raises(ValueError, match=message):
        read_wannier90(path)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("           2\n", "          20\n", "announces 20 functions and 1 ce"),
        (
            "    1\n    0",
            "    0\n    0",
            "line 4: 1 degeneracies, the smallest",
        ),
        ("102.000000", "nan", "x_hr.dat, line 6: a number is none"),
        ("102.000000", "1O2", "below line 4: .*1O2.* at row 1, column 6"),
        ("    1    2", "    1    1", "a pair of functions twice"),
        ("    1    2", "    1    3", "functions of .*x_hr.dat go from 0 to 2"),
        ("    0    0    0    2    2", "  0.5    0    0    2    2", "fractions"),
        ("202.000000    0.0\n", "", "numbers below line 4|number of columns"),
        (
            "102.000000    0.0",
            "102.000000    0.1",
            "is complex, by up to 1.0e-",
        ),
    ],
)
def test_damaged_matrices(old, new, message, tmp_path):
    path = write(tmp_path, "C:s", 2)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_wannier90(path)


def test_what_lies_beside(tmp_path):
    path = write(tmp_path, "C:s", 2)
    assert [s.format for s in find_sources(tmp_path)] == ["wannier90"]
    with pytest.raises(ValueError, match="x.win is there already, and not of"):
        export_wannier90(orthogonal_crystal(), path, (1, 1, 1))
    (tmp_path / "x.win").unlink()
    with pytest.raises(ValueError, match="of wannier90 without its .win"):
        find_sources(tmp_path)
    with pytest.raises(ValueError, match="x.win is missing"):
        read_wannier90(path)
    with pytest.raises(ValueError, match="`spin_order` is 'projections' or"):
        read_wannier90(path, spin_order="updown")
