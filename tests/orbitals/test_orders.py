import numpy as np
import pytest

from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import PROGRAMS
from keras_hamiltonian.orbitals.orders import from_package_order
from keras_hamiltonian.orbitals.orders import orbital_order
from keras_hamiltonian.orbitals.orders import shell_order
from keras_hamiltonian.orbitals.orders import to_package_order

# Real harmonics as the programs' manuals list them, as polynomials of a point;
# the package: p = (y, z, x), d = (xy, yz, 3z²-r², xz, x²-y²).
X, Y, Z = 0.3, -0.5, 0.7
P = {-1: Y, 0: Z, 1: X}
D = {
    -2: X * Y,
    -1: Y * Z,
    0: (3 * Z**2 - X**2 - Y**2 - Z**2) / np.sqrt(12),
    1: X * Z,
    2: (X**2 - Y**2) / 2,
}
MANUALS = {
    "openmx": ([X, Y, Z], [D[0], D[2], X * Y, X * Z, Y * Z]),
    "siesta": ([-Y, Z, -X], [X * Y, -Y * Z, D[0], -X * Z, D[2]]),
    "fhi-aims": ([Y, Z, -X], [X * Y, Y * Z, D[0], -X * Z, D[2]]),
    "abacus": ([Z, -X, -Y], [D[0], -X * Z, -Y * Z, D[2], X * Y]),
    "pyscf": ([X, Y, Z], [X * Y, Y * Z, D[0], X * Z, D[2]]),
    "wannier90": ([Z, X, Y], [D[0], X * Z, Y * Z, D[2], X * Y]),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_orders_of_the_manuals(program):
    for l, harmonics in ((1, P), (2, D)):
        index, sign = shell_order(program, l)
        np.testing.assert_allclose(
            sign * np.array(MANUALS[program][l - 1])[index],
            [harmonics[m] for m in range(-l, l + 1)],
        )


def test_f_shell_of_openmx():
    index, sign = shell_order("openmx", 3)
    assert index.tolist() == [6, 4, 2, 0, 1, 3, 5]
    assert sign.tolist() == [1] * 7


def test_several_shells_keep_their_place():
    index, _ = orbital_order("openmx", (0, 0, 1))
    assert index.tolist() == [0, 1, 3, 4, 2]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("spin", [1, 2])
def test_there_and_back_keeps_every_bit(program, spin):
    highest = 2 if program == "siesta" else 3
    basis = OrbitalBasis({"Mo": [0, 2, 1, highest], "S": "2s 2p 1d"})
    numbers = np.array([16, 42])
    pairs = [(0, 0, 0, i, j) for i in (0, 1) for j in (0, 1)]
    random = np.random.default_rng(0)
    sizes = [spin * basis.num_orbitals(z) for z in numbers]
    blocks = [
        random.normal(size=(sizes[i], sizes[j], 2)).view(complex)[..., 0]
        for *_, i, j in pairs
    ]
    blocks[0][0, 1] = complex(-0.0, -1.0)
    original = BlockMatrix.from_blocks(pairs, blocks)
    there = to_package_order(original, program, basis, numbers)
    back = from_package_order(there, program, basis, numbers)
    assert back.entries.tobytes() == original.entries.tobytes()
    assert there != original


def test_both_spins_move_alike():
    basis = OrbitalBasis({"C": "1p"})
    block = np.arange(36.0).reshape(6, 6)
    matrix = BlockMatrix.from_blocks([(0, 0, 0, 0, 0)], [block])
    moved = to_package_order(matrix, "openmx", basis, [6]).block(0)
    rows = [1, 2, 0, 4, 5, 3]
    np.testing.assert_array_equal(moved, block[np.ix_(rows, rows)])


def test_unknown_order_is_refused_by_name():
    with pytest.raises(ValueError, match="program 'vasp'.*openmx, siesta"):
        shell_order("vasp", 1)
    for program, l in (("openmx", 4), ("siesta", 3), ("abacus", 5)):
        with pytest.raises(ValueError, match=f"degree l = {l} in {program}"):
            shell_order(program, l)


def test_block_must_fit_the_basis():
    basis = OrbitalBasis({"C": "1s 1p"})
    matrix = BlockMatrix.from_blocks([(0, 0, 0, 0, 0)], [np.zeros((5, 5))])
    with pytest.raises(ValueError, match="5 orbitals for C.*4, or 8 with"):
        to_package_order(matrix, "openmx", basis, [6])
