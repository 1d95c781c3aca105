"""What data hold instead of a right matrix: known faults, tried in turn."""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy.sparse.csgraph import breadth_first_order
from scipy.sparse.csgraph import minimum_spanning_tree

from data_tools.check.orbitals import program_orders
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.conventions import RYDBERG_IN_EV
from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix

# What numbers have to be multiplied by, and what was done to them.
FACTORS = {
    1.0: "",
    HARTREE_IN_EV: "the numbers are hartree, not eV",
    RYDBERG_IN_EV: "the numbers are rydberg, not eV",
    1 / HARTREE_IN_EV: "the numbers were converted from hartree twice",
    1 / RYDBERG_IN_EV: "the numbers were converted from rydberg twice",
    2.0: "the numbers are half as large: rydberg taken for hartree",
    0.5: "the numbers are twice as large: hartree taken for rydberg",
    -1.0: "the sign of all numbers is reversed",
}
# Of uu, ud, du and dd.
EXCHANGES = {"up and down": (3, 2, 1, 0), "ud and du": (0, 2, 1, 3)}
NUM_PAIRS = 400


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault that may have happened to a matrix.

    Attributes:
        words: str. What it is; empty for none.
        apply: function of a right `BlockMatrix` to what the data then hold.
        is_of_spin: bool. Whether S cannot have it.
    """

    words: str
    apply: Callable
    is_of_spin: bool = False


def known_faults(calculation):
    """Faults of order, sign, transposition and spin; the first is none.

    Args:
        calculation: `Calculation`, for its atoms and its basis.

    Yields:
        `Fault`.
    """
    yield Fault("", lambda matrix: matrix)
    yield Fault(
        "every block is transposed",
        lambda m: _blockwise(m, lambda b: b.T if _is_square(b) else b),
    )
    yield Fault("lattice translations are reversed, R for -R", _reversed)
    for words, order in _orders(calculation.basis.lmax):
        yield Fault(f"orbitals are in {words}", _reordering(calculation, order))
    if calculation.spin == "noncollinear":
        yield Fault(
            "the numbers are complex conjugated",
            lambda m: m.with_entries(m.entries.conj()),
            is_of_spin=True,
        )
        for words, order in EXCHANGES.items():
            yield Fault(f"{words} are exchanged", _quadrants(order), True)


def sign_fault(calculation, given, right):
    """The `Fault` of orbitals whose signs are opposite, for every orbital.

    Signs follow from products of numbers that belong together, along the
    strongest of them.

    Args:
        calculation: `Calculation`.
        given, right: spinless `BlockMatrix` with the same pairs.
    """
    symbols = calculation.atoms.get_chemical_symbols()
    starts, size = {}, 0
    for symbol in calculation.basis.symbols:
        starts[symbol] = size
        size += calculation.basis.num_orbitals(symbol)
    products = np.zeros((size, size))
    for pair, one, other in zip(
        given.atom_pairs, given.blocks(), right.blocks()
    ):
        row, column = (starts[symbols[atom]] for atom in pair[3:])
        rows = slice(row, row + one.shape[0])
        products[rows, column : column + one.shape[1]] += one * other
    products += products.T
    np.fill_diagonal(products, 0.0)
    signs = _signs(products)
    by_symbol = {
        s: signs[start : start + calculation.basis.num_orbitals(s)]
        for s, start in starts.items()
    }
    opposite = [
        f"{symbol} {SHELL_LETTERS[l]}(m = {m}) of shell {shell + 1}"
        for symbol, degrees in calculation.basis.shells.items()
        for (shell, l, m), sign in zip(_components(degrees), by_symbol[symbol])
        if sign < 0
    ]
    more = ", ..." if len(opposite) > 6 else ""

    def apply(matrix):
        blocks = [
            by_symbol[symbols[p[3]]][:, None] * b * by_symbol[symbols[p[4]]]
            for p, b in zip(matrix.atom_pairs, matrix.blocks())
        ]
        return BlockMatrix.from_blocks(matrix.atom_pairs, blocks)

    words = f"these orbitals have the opposite sign: {', '.join(opposite[:6])}"
    return Fault(words + more, apply)


def some_pairs(matrix):
    """A matrix with some of its pairs, evenly, and their partners."""
    step = -(-len(matrix) // NUM_PAIRS)
    chosen = set(range(0, len(matrix), step))
    partners = matrix.reverse_positions()
    chosen |= {int(partners[p]) for p in chosen} - {-1}
    return matrix.select(sorted(chosen))


def on_pairs_of(matrix, reference):
    """A matrix with the pairs of another; what it lacks is zero.

    Raises:
        ValueError: if blocks have other shapes.
    """
    blocks = []
    for pair, shape in zip(reference.index, reference.shapes):
        block = matrix.find(pair)
        if block is None:
            block = np.zeros(shape, matrix.entries.dtype)
        elif block.shape != tuple(shape):
            raise ValueError(
                f"The block of {pair} has the shape {block.shape}; expected: "
                f"{tuple(shape)}."
            )
        blocks.append(block)
    return BlockMatrix.from_blocks(reference.atom_pairs, blocks)


def _orders(lmax):
    """Words, and matrices `right = matrix @ file` for each degree."""
    by_words = {}
    for l in range(lmax + 1):
        for words, order in program_orders(l):
            by_words.setdefault(words, []).append(order)
    for words, orders in by_words.items():
        is_right = all(np.array_equal(x, np.eye(len(x))) for x in orders)
        if len(orders) == lmax + 1 and not is_right:
            yield words, orders


def _reordering(calculation, orders):
    """The function that brings right blocks into the order of a file."""
    of_symbol = {
        symbol: _block_diagonal([orders[l].T for l in degrees])
        for symbol, degrees in calculation.basis.shells.items()
    }
    symbols = calculation.atoms.get_chemical_symbols()

    def side(atom, size):
        order = of_symbol[symbols[atom]]
        return order if size == len(order) else _block_diagonal([order] * 2)

    def apply(matrix):
        blocks = [
            side(p[3], len(b)) @ b @ side(p[4], b.shape[1]).T
            for p, b in zip(matrix.atom_pairs, matrix.blocks())
        ]
        return BlockMatrix.from_blocks(matrix.atom_pairs, blocks)

    return apply


def _block_diagonal(blocks):
    size = sum(map(len, blocks))
    found, start = np.zeros((size, size)), 0
    for block in blocks:
        stop = start + len(block)
        found[start:stop, start:stop] = block
        start = stop
    return found


def _blockwise(matrix, change):
    blocks = [change(block) for block in matrix.blocks()]
    return BlockMatrix.from_blocks(matrix.atom_pairs, blocks)


def _is_square(block):
    return block.shape[0] == block.shape[1]


def _reversed(matrix):
    pairs = matrix.atom_pairs * [-1, -1, -1, 1, 1]
    return BlockMatrix(pairs, matrix.shapes, matrix.entries)


def _quadrants(order):
    """Blocks whose quadrants uu, ud, du, dd are exchanged."""

    def change(block):
        rows, columns = np.array(block.shape) // 2
        parts = [
            block[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]
            for i in range(2)
            for j in range(2)
        ]
        parts = [parts[n] for n in order]
        return np.block([parts[:2], parts[2:]])

    return lambda matrix: _blockwise(matrix, change)


def _components(degrees):
    """Shell, degree and m of each orbital."""
    return [
        (shell, l, m)
        for shell, l in enumerate(degrees)
        for m in range(-l, l + 1)
    ]


def _signs(products):
    """Signs for which the largest products are positive."""
    size = len(products)
    tree = minimum_spanning_tree(-np.abs(products))
    signs, left = np.ones(size), set(range(size))
    while left:
        root = min(left)
        order, before = breadth_first_order(tree, root, directed=False)
        for node in order[1:]:
            sign = np.sign(products[before[node], node])
            signs[node] = signs[before[node]] * sign
        left -= set(order.tolist())
    return signs
