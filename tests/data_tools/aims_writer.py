"""Writes small FHI-aims runs from the description of the format.

Dense matrices <a in cell 0 | M | b in cell R> go in, in FHI-aims' own functions
and hartree.
"""

import itertools

import h5py
import numpy as np
from abacus_writer import X
from abacus_writer import Y
from abacus_writer import Z
from abacus_writer import edge_block
from abacus_writer import square
from abacus_writer import symmetric

# p and d shells as vectors and tensors: m = -l..l, odd m > 0 with a minus.
AIMS = {
    1: [Y, Z, -X],
    2: [
        symmetric(X, Y),
        symmetric(Y, Z),
        square(-1, -1, 2),
        -symmetric(X, Z),
        square(1, -1, 0),
    ],
}
SHELLS = [("atomic", 2, 0), ("atomic", 2, 1), ("hydro", 3, 2)]
NOWHERE = 999999999
CELL = np.array([[3.6, 0, 0], [0.4, 3.8, 0], [0, 0, 4.0]])
# Within half a cell of the origin; neighbours across its border.
POSITIONS = np.array([[1.5, 0.3, 0.2], [-1.2, 0.9, -0.4]])
ONSITE = np.repeat([-1.0, 0.2, 1.4], [1, 3, 5])


def crystal_matrices(positions, cell, functions, onsite, strength, reach=4.2):
    """Dense matrices by cell: all pairs of atoms, falling with distance."""
    size, found = 9 * len(positions), {}
    spans = [(0, 1, -1)] * 3 if np.any(cell) else [(0,)] * 3
    for shift in itertools.product(*spans):
        matrix = np.zeros((size, size))
        for i, j in itertools.product(range(len(positions)), repeat=2):
            edge = positions[j] - positions[i] + np.array(shift) @ cell
            length = np.linalg.norm(edge)
            block = np.s_[9 * i : 9 * i + 9, 9 * j : 9 * j + 9]
            if length < 1e-9:
                matrix[block] = np.diag(onsite)
            elif length < reach:
                scale = strength * np.exp(-1.5 * length)
                matrix[block] = edge_block(edge, functions, scale)
        found[shift] = matrix
    return found


def geometry(positions=POSITIONS, cell=CELL):
    text = "# a comment\n"
    for vector in cell if cell is not None else ():
        text += "lattice_vector {:.12f} {:.12f} {:.12f}\n".format(*vector)
    for label, position in zip(("Si", "C1"), positions):
        text += "atom {:.12f} {:.12f} {:.12f} {}\n".format(*position, label)
    return text


def matrices(functions=AIMS, cell=CELL, names=("rs_hamiltonian",)):
    cell = np.zeros((3, 3)) if cell is None else cell
    overlap = crystal_matrices(POSITIONS, cell, functions, np.ones(9), 0.6)
    return {
        "rs_overlap": overlap,
        **{
            name: crystal_matrices(
                POSITIONS, cell, functions, ONSITE * (n + 1), -2.0 * (n + 1)
            )
            for n, name in enumerate(names)
        },
    }


def write_aims(folder, geometry, matrices, is_hdf5=False):
    """`matrices`: file name without ending to dict from cell to matrix."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "geometry.in").write_text(geometry)
    first = next(iter(matrices.values()))
    cells, size = list(first), len(first[0, 0, 0])
    (folder / "basis-indices.out").write_text(_basis(size // 9))
    ranges, columns = np.zeros((2, len(cells), size), int), []
    ranges[1] = -1
    values = {name: [] for name in matrices}
    for c, cell in enumerate(cells):
        for b in range(size):
            filled = [
                a
                for a in range(b + 1)
                if any(abs(m[cell][a, b]) > 1e-14 for m in matrices.values())
            ]
            if not filled:
                continue
            ranges[:, c, b] = len(columns) + 1, len(columns) + len(filled)
            columns += [a + 1 for a in filled]
            for name, matrix in matrices.items():
                values[name] += [matrix[cell][a, b] for a in filled]
    text = f"n_hamiltonian_matrix_size: {len(columns) + 1:12d}\n"
    text += f"n_cells_in_hamiltonian: {len(cells) + 1:12d}\n"
    text += f"n_basis: {size:12d}\n"
    if len(cells) > 1:
        text += "cell_index\n"
        for cell in [*cells, [NOWHERE] * 3]:
            text += "".join(f"{n:11d}" for n in cell) + "\n"
        rest = [np.full(size, 0), np.full(size, -1)]
    else:
        text += "cell_index (not used in aperiodic systems)\n"
        rest = [["348635405"] * size, ["**********"] * size]
    for k in range(2):
        text += f"index_hamiltonian({k + 1},:,:)\n"
        for row in [*ranges[k], rest[k]]:
            text += "".join(f"{n:>11}" for n in row) + "\n"
    text += "column_index_hamiltonian\n"
    text += "".join(f"{n:11d}\n" for n in [*columns, 0])
    (folder / "rs_indices.out").write_text(text)
    for name, numbers in values.items():
        if is_hdf5:
            with h5py.File(folder / f"{name}.h5", "w") as file:
                file["sparse_matrix"] = [*numbers, 0.0]
        else:
            (folder / f"{name}.out").write_text(
                "".join(f"{_fortran(x)}\n" for x in [*numbers, 0.0])
            )


def _fortran(value):
    """E24.16: three digits of an exponent leave no room for the E."""
    mantissa, exponent = f"{value:.16e}".split("e")
    mark = "" if len(exponent) > 3 else "E"
    return f"{mantissa}{mark}{exponent}"


def _basis(num_atoms):
    text, number = "\n  fn.   type   at.   n   l   m\n", 0
    for atom, (kind, n, l) in itertools.product(range(num_atoms), SHELLS):
        for m in range(-l, l + 1):
            number += 1
            text += f"{number:5d} {kind:8s} {atom + 1:3d} {n:3d} {l:3d} {m:3d}"
            text += "\n"
    return text
