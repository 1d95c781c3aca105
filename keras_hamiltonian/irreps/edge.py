"""Representations of the axis of an edge: σ⁺, σ⁻, π, δ, φ, ...

In a frame whose polar axis lies along an edge, the only freedom left is the
roll about the edge and the reflection in planes that contain it: the group
C∞v. Its irreps are called here `"0+"` (σ⁺, unchanged by all of it), `"0-"`
(σ⁻, changes sign under reflection) and `"1"`, `"2"`, ... (π, δ, ...: pairs
that rotate like (cos mφ, sin mφ)). A shell of degree l splits into
`"0+", "1", ..., "l"`, an axial vector into `"0-", "1"`.
"""

import math

import numpy as np

from keras_hamiltonian.irreps.irreps import Irrep


def edge_dim(kind):
    """Number of components: 1 for `"0+"` and `"0-"`, else 2."""
    return 1 if kind in ("0+", "0-") else 2


def edge_kinds(mmax):
    """All kinds to `mmax`: `["0+", "0-", "1", ..., str(mmax)]`."""
    return ["0+", "0-", *(str(m) for m in range(1, mmax + 1))]


def irrep_kinds(irrep):
    """The kinds into which an irrep of O(3) splits, by ascending m."""
    irrep = Irrep(*irrep)
    zero = "0+" if irrep.is_natural else "0-"
    return [zero, *(str(m) for m in range(1, irrep.l + 1))]


def frame_rows(l, natural=True):
    """Rows of a Wigner matrix in the order of the kinds, as a matrix.

    Args:
        l: int. Degree.
        natural: bool. Whether the parity is (-1)^l. For the other parity the
            two partners of a pair change places and one its sign, so that
            pairs of both parities rotate and reflect alike.

    Returns:
        `(2l+1, 2l+1)` array P: `P @ x` lists the components 0, then the pairs
        (m, -m) for m = 1..l.
    """
    rows = np.zeros((2 * l + 1, 2 * l + 1))
    rows[0, l] = 1
    for m in range(1, l + 1):
        if natural:
            rows[2 * m - 1, l + m] = 1
            rows[2 * m, l - m] = 1
        else:
            rows[2 * m - 1, l - m] = 1
            rows[2 * m, l + m] = -1
    return rows


def edge_product(*kinds):
    """Splits a product of kinds into kinds.

    Args:
        *kinds: str. The factors.

    Returns:
        A list of kinds, and the orthogonal matrix `(Π dims, Σ dims)` whose
        columns are their components in the product basis (first factor
        outermost).

    Example:

    >>> edge_product("1", "2")[0]
    ['1', '3']
    """
    result = ["0+"]
    matrix = np.eye(1)
    for kind in kinds:
        matrix = np.kron(matrix, np.eye(edge_dim(kind)))
        next_result = []
        columns = []
        start = 0
        for left in result:
            size = edge_dim(left) * edge_dim(kind)
            for out, coupling in _pair_product(left, kind):
                next_result.append(out)
                columns.append(matrix[:, start : start + size] @ coupling)
            start += size
        result, matrix = next_result, np.concatenate(columns, axis=1)
    return result, matrix


def _pair_product(a, b):
    """List of (kind, matrix) for the product of two kinds."""
    if a == "0+" or b == "0+":
        return [(b if a == "0+" else a, np.eye(edge_dim(a) * edge_dim(b)))]
    if a == "0-" and b == "0-":
        return [("0+", np.eye(1))]
    if a == "0-" or b == "0-":
        # (c, s) times σ⁻ rotates like a pair as (-s, c).
        return [(b if a == "0-" else a, np.array([[0.0, 1.0], [-1.0, 0.0]]))]
    m, n = int(a), int(b)
    # Product basis: cc, cs, sc, ss.
    total = np.array([[1, 0], [0, 1], [0, 1], [-1, 0]]) / math.sqrt(2)
    sign = 1 if m >= n else -1
    difference = np.array([[1, 0], [0, -sign], [0, sign], [1, 0]]) / math.sqrt(
        2
    )
    if m == n:
        return [
            ("0+", difference[:, :1]),
            ("0-", difference[:, 1:]),
            (str(m + n), total),
        ]
    return [(str(abs(m - n)), difference), (str(m + n), total)]
