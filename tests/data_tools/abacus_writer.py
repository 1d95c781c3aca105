"""Writes small ABACUS runs from the description of the format.

Dense matrices go in, in ABACUS' own order and Ry; lines break as ABACUS breaks
them.
"""

import numpy as np

# The functions of a p and a d shell in ABACUS' order, as vectors and traceless
# tensors: p is (z, -x, -y), d is (3z²-r², -xz, -yz, x²-y², xy).
X, Y, Z = np.eye(3)


def symmetric(a, b):
    return (np.outer(a, b) + np.outer(b, a)) / np.sqrt(2)


def square(a, b, c):
    return np.diag([a, b, c]) / np.linalg.norm([a, b, c])


ABACUS = {
    1: [Z, -X, -Y],
    2: [
        square(-1, -1, 2),
        -symmetric(X, Z),
        -symmetric(Y, Z),
        square(1, -1, 0),
        symmetric(X, Y),
    ],
}
PACKAGE = {
    1: [Y, Z, X],
    2: [
        symmetric(X, Y),
        symmetric(Y, Z),
        square(-1, -1, 2),
        symmetric(X, Z),
        square(1, -1, 0),
    ],
}
WITHOUT_PHASE = {1: [Z, X, Y], 2: [square(-1, -1, 2), symmetric(X, Z)]}
WITHOUT_PHASE[2] += [symmetric(Y, Z), square(1, -1, 0), symmetric(X, Y)]


def edge_block(edge, functions, strength=1.0):
    """s, p and d of one atom against those of another, axial about the edge.

    `edge` points to the second atom. Every number is a scalar made of the
    functions' vectors and tensors and the edge: it rotates with the crystal.
    """
    n = np.asarray(edge) / np.linalg.norm(edge)
    ps, ds = functions[1], functions[2]
    block = np.zeros((9, 9))
    block[0, 0] = -1.3
    block[0, 1:4] = [0.9 * p @ n for p in ps]
    block[0, 4:] = [-0.6 * n @ d @ n for d in ds]
    block[1:4, 1:4] = [
        [1.1 * (p @ n) * (q @ n) - 0.4 * p @ q for q in ps] for p in ps
    ]
    block[1:4, 4:] = [
        [0.5 * (p @ n) * (n @ d @ n) - 0.3 * p @ d @ n for d in ds] for p in ps
    ]
    block[4:, 4:] = [
        [
            0.7 * (n @ d @ n) * (n @ e @ n)
            - 0.2 * n @ d @ e @ n
            + 0.1 * np.trace(d @ e)
            for e in ds
        ]
        for d in ds
    ]
    parity = np.repeat([1, -1, 1], [1, 3, 5])
    lower = np.tril_indices(9, -1)
    block[lower] = (block.T * parity[:, None] * parity)[lower]
    return strength * block


def number_text(value):
    if np.iscomplexobj(value):
        return f"({value.real:.8e},{value.imag:.8e})"
    return f"{value:.8e}"


def old_file(label, matrices, step="STEP: 0\n"):
    """`matrices`: dict from R to a dense matrix."""
    size = len(next(iter(matrices.values())))
    text = f"{step}Matrix Dimension of {label}(R): {size}\n"
    text += f"Matrix number of {label}(R): {len(matrices)}\n"
    for cell, matrix in sorted(matrices.items()):
        rows, columns = np.nonzero(np.abs(matrix) > 1e-10)
        text += f"{cell[0]} {cell[1]} {cell[2]} {len(rows)}\n"
        if len(rows):
            values = [number_text(x) for x in matrix[rows, columns]]
            counts = [int((rows < r).sum()) for r in range(size + 1)]
            for words in (values, columns, counts):
                text += "".join(f" {word}" for word in words) + "\n"
    return text


def wrapped(words, width, first_break):
    """Words with a line break before every so many of them."""
    text = ""
    for k, word in enumerate(words):
        if (k + 1 - first_break) % width == 0:
            text += "\n"
        text += f" {word}"
    return text + "\n"


def new_file(label, matrices, structure, spins=1, spin=1, note=""):
    """`structure`: lines of the unit cell."""
    size = len(next(iter(matrices.values())))
    text = " --- Ionic Step 1 ---\n"
    text += f" # print {label} matrix in real space {label}(R)\n"
    text += f" {spins} # number of spin directions\n {spin} # spin index\n"
    text += f" {size} # number of localized basis\n"
    text += f" {len(matrices)} # number of Bravais lattice vector R\n\n"
    text += "".join(f" {line}\n" for line in structure) + note + "\n"
    text += f" #{'-' * 70}#\n #{'CSR Format':^70}#\n"
    text += (
        f" #{'values, column indices, row pointers.':^70}#\n #{'-' * 70}#\n\n"
    )
    for cell, matrix in sorted(matrices.items()):
        rows, columns = np.nonzero(np.abs(matrix) > 1e-10)
        if not len(rows):
            continue  # promised in the header all the same
        values = [number_text(x) for x in matrix[rows, columns]]
        counts = [int((rows < r).sum()) for r in range(size + 1)]
        text += f" {cell[0]} {cell[1]} {cell[2]} {len(rows)}\n"
        text += " # CSR values\n" + wrapped(values, 8, 0)
        text += " # CSR column indices\n" + wrapped(columns, 16, 0)
        text += " # CSR row pointers" + wrapped(counts, 16, 1) + "\n"
    return text
