"""Are the orbitals of a shell in the order m = -l..l, with the usual signs?

In the frame of its edge a two-centre integral vanishes unless m = m'. Each
overlap block is rotated so that the polar axis lies along the edge; with a
wrong order the rotation mixes wrong orbitals and elements with m ≠ m' remain.

It cannot find signs (-1)^m in an exactly flat crystal: they are a half turn
about z, which only reverses the edges.
"""

import itertools

import numpy as np

from data_tools.check.finding import Finding
from data_tools.check.geometry import check_geometry
from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.irreps.rotation import edge_frames
from keras_hamiltonian.irreps.wigner import wigner_d_matrix
from keras_hamiltonian.orbitals.orders import PROGRAMS
from keras_hamiltonian.orbitals.orders import shell_order

# Norm of the elements with m ≠ m' over that of all; real data: 1e-13, rounded
# to 2e-7: 1e-6.
LARGEST_REMAINDER = 1e-3
NUM_PAIRS = 100


def check_orbital_order(sample):
    """Overlap diagonal in m along each edge, else the order that makes it so.

    Lattice and positions must be right for this, so a sample with a wrong
    geometry is not checked.
    """
    overlap = sample.calculation.overlap
    if overlap is None or check_geometry(sample):
        return []
    pairs = _strongest_pairs(sample)
    if not len(pairs):
        return []
    findings = []
    for l in range(1, sample.calculation.basis.lmax + 1):
        blocks = _shell_blocks(sample, pairs, l)
        if _remainder(blocks, l, np.eye(2 * l + 1)) > LARGEST_REMAINDER:
            findings.append(_wrong_order(blocks, l))
    return findings


def _wrong_order(blocks, l):
    letter = SHELL_LETTERS[l]
    message = (
        f"The {letter} orbitals are not in the order m = -{l}..{l} with "
        "the usual signs: along its edge the overlap is not diagonal in m."
    )
    for name, order in _candidates(l):
        if _remainder(blocks, l, order) < LARGEST_REMAINDER:
            return Finding(
                "orbital_order",
                "error",
                f"{message} It is diagonal for {name}.",
                "Read with `to_package_order` of "
                "`keras_hamiltonian.orbitals.orders` and the program that "
                f"wrote the numbers, once; the {letter} orbitals are then "
                f"{_NAMES.get(l, f'm = -{l}..{l}')}.",
            )
    return Finding(
        "orbital_order",
        "error",
        f"{message} No order known here makes it so.",
        "Compare with the order in the manual of the program, and with the "
        "order of the shells in the basis (shells outer, m inner).",
    )


_NAMES = {1: "(y, z, x)", 2: "(xy, yz, 3z²-r², xz, x²-y²)"}


def _candidates(l):
    """Names and matrices (package = matrix @ file) of possible orders."""
    yield from program_orders(l)
    if l == 1:
        yield from _cartesian_candidates()


def program_orders(l):
    """Orders in which files of the known programs may be.

    Args:
        l: int. Degree of a shell.

    Yields:
        str, and the `(2l + 1, 2l + 1)` array with `package = array @ file`.
    """
    for program in PROGRAMS:
        try:
            index, signs = shell_order(program, l)
        except ValueError:
            continue
        order = np.zeros((2 * l + 1, 2 * l + 1))
        order[np.arange(2 * l + 1), index] = signs
        yield f"the order of {program}, not converted", order
        yield f"the order of {program}, converted twice", order.T
        yield f"the signs of {program} in ascending m", np.diag(signs)
        yield (
            f"the order of {program} without its signs",
            np.abs(order),
        )


def _cartesian_candidates():
    """Every order and every sign of (x, y, z); the common sign is free."""
    axes = {"y": 0, "z": 1, "x": 2}
    for letters in itertools.permutations("xyz"):
        for signs in itertools.product((1, -1), repeat=2):
            order = np.zeros((3, 3))
            for place, (letter, sign) in enumerate(zip(letters, (1, *signs))):
                order[axes[letter], place] = sign
            named = ", ".join(
                ("-" if sign < 0 else "") + letter
                for letter, sign in zip(letters, (1, *signs))
            )
            yield f"({named})", order


def _strongest_pairs(sample):
    """Positions of the off-site pairs with the largest blocks."""
    norms = np.where(
        sample.calculation.overlap.is_onsite, 0, sample.block_norms
    )
    order = np.argsort(-norms, kind="stable")
    # Of equal atoms at equal distance one is enough; a few of each kind of
    # pair must be there.
    calculation = sample.calculation
    numbers = calculation.atoms.numbers[calculation.overlap.atom_pairs[:, 3:]]
    chosen = []
    kinds = np.unique(numbers, axis=0)
    for kind in kinds:
        same = order[(numbers[order] == kind).all(axis=1)]
        chosen.extend(same[norms[same] > 1e-3][: NUM_PAIRS // len(kinds) + 1])
    return np.array(chosen, dtype=int)


def _shell_blocks(sample, pairs, l):
    """Sub-blocks between a shell of degree l and one of degree 0 or l.

    Returns:
        List of `(block, rotation, l_row, l_column)`, not yet rotated.
    """
    calculation = sample.calculation
    overlap = calculation.overlap
    chosen = overlap.atom_pairs[pairs]
    frames = edge_frames(calculation.edge_vectors(chosen))
    rotations = wigner_d_matrix(l, frames)
    shells = [_shells(calculation.basis, s) for s in calculation.atoms.symbols]
    blocks = []
    for position, pair, rotation in zip(pairs, chosen, rotations):
        block = overlap.block(position)
        for (left, rows), (right, columns) in itertools.product(
            shells[pair[3]], shells[pair[4]]
        ):
            if {left, right} in ({0, l}, {l}):
                blocks.append((block[rows, columns], rotation, left, right))
    return blocks


def _shells(basis, symbol):
    """Degree and slice of each shell of an element."""
    degrees = basis.shells[symbol]
    starts = np.cumsum([0, *(2 * l + 1 for l in degrees)])
    return [
        (l, slice(start, start + 2 * l + 1))
        for l, start in zip(degrees, starts)
    ]


def _remainder(blocks, l, order):
    """Norm of elements with m ≠ m' in the edge frame over the whole norm."""
    outside = total = 0.0
    for block, rotation, left, right in blocks:
        to_frame = rotation @ order
        rotated = to_frame @ block if left == l else block
        rotated = rotated @ to_frame.T if right == l else rotated
        m = np.arange(-left, left + 1)[:, None] != np.arange(-right, right + 1)
        outside += float((np.abs(rotated[m]) ** 2).sum())
        total += float((np.abs(rotated) ** 2).sum())
    return np.sqrt(outside / total) if total else 0.0
