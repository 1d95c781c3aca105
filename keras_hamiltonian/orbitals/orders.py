"""Orders and signs of the m components in each program's shells."""

import numpy as np
from ase.data import chemical_symbols

# Per degree l: the m of the program's components in the program's order.
# 3z²-r², x²-y², xy, xz, yz is m = 0, 2, -2, 1, -1, and so on.
_OPENMX = {
    0: (0,),
    1: (1, -1, 0),
    2: (0, 2, -2, 1, -1),
    3: (0, 1, -1, 2, -2, 3, -3),
}
_ASCENDING = {l: tuple(range(-l, l + 1)) for l in range(5)}
_ZERO_FIRST = {
    l: (0, *(s * m for m in range(1, l + 1) for s in (1, -1))) for l in range(5)
}


def _plus(m):
    return 1


def _condon_shortley(m):
    return -1 if m % 2 else 1


def _odd_positive(m):
    return -1 if m > 0 and m % 2 else 1


# Program: (m in the program's order, sign of the program's function against
# the package's). DeepH's legacy files keep OpenMX's order for numbers of
# all programs.
_PROGRAMS = {
    "openmx": (_OPENMX, _plus),
    "siesta": ({l: _ASCENDING[l] for l in range(3)}, _condon_shortley),
    "fhi-aims": (_ASCENDING, _odd_positive),
    "abacus": (_ZERO_FIRST, _condon_shortley),
    "pyscf": ({**_ASCENDING, 1: (1, -1, 0)}, _plus),
    "wannier90": (_ZERO_FIRST, _plus),
}

PROGRAMS = tuple(_PROGRAMS)


def shell_order(program, l):
    """Where a program keeps the components m = -l..l of a shell.

    Args:
        program: str. `"openmx"` (also the legacy DeepH files), `"siesta"`,
            `"fhi-aims"`, `"abacus"`, `"pyscf"` or `"wannier90"`.
        l: int. Degree of the shell.

    Returns:
        Two `(2l + 1,)` int arrays: the program's index of each m, m = -l..l,
        and the sign that the number there changes by.

    Raises:
        ValueError: for an unknown program, or a degree whose order in that
            program is not known here.
    """
    if program not in _PROGRAMS:
        raise ValueError(
            f"No orbital order is known for the program {program!r}. Known: "
            f"{', '.join(PROGRAMS)}."
        )
    components, sign = _PROGRAMS[program]
    if l not in components:
        raise ValueError(
            f"The order of the {2 * l + 1} orbitals of degree l = {l} in "
            f"{program} is not known here; known are the degrees 0 to "
            f"{max(components)}."
        )
    index = np.array([components[l].index(m) for m in range(-l, l + 1)])
    signs = np.array([sign(m) for m in range(-l, l + 1)])
    return index, signs


def orbital_order(program, degrees):
    """The same for all shells of an atom, `degrees` being their l in turn."""
    orders = [shell_order(program, l) for l in degrees]
    starts = np.cumsum([0] + [2 * l + 1 for l in degrees])
    index = [start + order for start, (order, _) in zip(starts, orders)]
    return np.concatenate(index), np.concatenate([s for _, s in orders])


def to_package_order(matrix, program, basis, numbers):
    """Blocks in a program's order, brought to m = -l..l.

    Moves numbers and flips signs only: every number keeps its bits. The shells
    of an atom stay where they are. Blocks twice as large as the orbitals ask
    for are spinful, up before down.

    Args:
        matrix: `BlockMatrix` in the program's order.
        program: str. See `shell_order`.
        basis: `OrbitalBasis`. Shells in the order of the blocks.
        numbers: `(num_atoms,)` int array. Atomic numbers.

    Returns:
        `BlockMatrix` with the same pairs and dtype.

    Raises:
        ValueError: for an unknown program or degree, or a block that does not
            fit the basis.
    """
    return _reorder(matrix, program, basis, numbers, inverse=False)


def from_package_order(matrix, program, basis, numbers):
    """Blocks in m = -l..l, brought to a program's order.

    The exact inverse of `to_package_order`, with the same arguments.
    """
    return _reorder(matrix, program, basis, numbers, inverse=True)


def _reorder(matrix, program, basis, numbers, inverse):
    numbers = np.asarray(numbers)
    entries = np.empty_like(matrix.entries)
    kinds = np.column_stack([numbers[matrix.atom_pairs[:, 3:]], matrix.shapes])
    kinds, member = np.unique(kinds, axis=0, return_inverse=True)
    for k, (left, right, rows, columns) in enumerate(kinds.tolist()):
        row_order, row_sign = _atom_order(program, basis, left, rows, inverse)
        order, sign = _atom_order(program, basis, right, columns, inverse)
        source = (row_order[:, None] * columns + order).ravel()
        flipped = (row_sign[:, None] * sign).ravel() < 0
        starts = matrix.boundaries[:-1][member.ravel() == k, None]
        values = matrix.entries[starts + source]
        values[:, flipped] = -values[:, flipped]
        entries[starts + np.arange(rows * columns)] = values
    return matrix.with_entries(entries)


def _atom_order(program, basis, number, size, inverse):
    num_orbitals = basis.num_orbitals(number)
    symbol = chemical_symbols[number]
    if size not in (num_orbitals, 2 * num_orbitals):
        raise ValueError(
            f"A block has {size} orbitals for {symbol}; the basis "
            f"{basis.to_dict()} gives it {num_orbitals}, or "
            f"{2 * num_orbitals} with spin."
        )
    order, sign = orbital_order(program, basis.shells[symbol])
    if inverse:
        position = np.argsort(order)
        order, sign = position, sign[position]
    if size == 2 * len(order):
        order = np.concatenate([order, order + len(order)])
        sign = np.concatenate([sign, sign])
    return order, sign
