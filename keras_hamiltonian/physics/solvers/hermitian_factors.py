"""Factors of a large sparse Hermitian matrix, which count eigenvalues too."""

import weakref

import numpy as np

from keras_hamiltonian.messages import Phase

# Rows eliminated at once; products of this depth run near full speed.
PANEL = 192
# Columns of a Schur complement at once: half of it need not be computed.
STRIPE = 1024
# A pivot smaller than this, relative to the largest, is an eigenvalue hit.
SINGULAR = 1e-10
# Their name in a `Scratch`.
PANELS = "panels"


class HermitianFactors:
    """Factors of a sparse Hermitian matrix A, which may be indefinite.

    A multifrontal block factorization `A = L D L^†` on the fronts of a nested
    dissection: nearly all of its work is in products of dense matrices. Pivots
    are whole panels of orbitals, inverted by their eigenvalues. The signs of
    these are those of the eigenvalues of A (Sylvester's law of inertia), so
    the factors of H - E S count the states below E.

    Duff and Reid, ACM Trans. Math. Softw. 9, 302 (1983).

    Args:
        matrix: sparse `(n, n)` Hermitian matrix; real or complex.
        dissection: `Dissection` of the atoms, whose graph has every pair of
            atoms that the matrix couples.
        scratch: `Scratch`. Keeps the factors on the disk, from where every
            solution reads them; while it is made, and for each front, memory
            holds some `num_work(dissection)` numbers. Defaults to
            `None`: they stay in memory.

    Attributes:
        num_negative: int. Negative eigenvalues of the matrix.
        num_bytes: int. Size of the factors.

    Raises:
        ValueError: if the matrix is singular, or if that of a part of the
            crystal which is eliminated first is.

    Example:

    >>> import scipy.sparse
    >>> from keras_hamiltonian.physics.solvers.dissection import Dissection
    >>> chain = scipy.sparse.diags_array([1.0, 0.3, 1.0], offsets=[-1, 0, 1],
    ...                                  shape=(40, 40)).tocsr()
    >>> factors = HermitianFactors(chain, Dissection(chain, [1] * 40))
    >>> factors.num_negative  # eigenvalues 0.3 + 2 cos(n pi / 41)
    18
    >>> x = factors.solve(np.arange(40.0))
    >>> bool(np.allclose(chain @ x, np.arange(40)))
    True
    """

    def __init__(self, matrix, dissection, scratch=None):
        self._order = dissection.order
        self._fronts = dissection.fronts
        self.dtype = matrix.dtype
        self.num_negative = 0
        self.num_bytes = 0
        self._panels = _InMemory()
        if scratch is not None:
            self._panels = scratch
            weakref.finalize(self, scratch.close)
        rows = _OrderedRows(matrix.tocsr(), self._order)
        complements = {}
        costs = np.cumsum([_cost(front) for front in self._fronts])
        with Phase("factors") as phase:
            for position, front in enumerate(self._fronts):
                panels, complements[position] = self._eliminate(
                    rows, front, complements
                )
                self._panels.put(PANELS, position, panels)
                del panels  # or they would wait beside those of the next front
                phase(costs[position] / costs[-1])

    def solve(self, right):
        """`A^-1 right`: an array of the shape of `right`, `(n,)` or `(n, m)`.

        A complex right side of a real matrix gives a complex answer.
        """
        right = np.asarray(right)
        dtype = np.result_type(right.dtype, self.dtype)
        x = right[self._order].astype(dtype)
        if not np.iscomplexobj(x) or self.dtype.kind == "c":
            self._solve_in_place(x)
        else:
            parts = x.real.copy(), x.imag.copy()
            for part in parts:
                self._solve_in_place(part)
            x = parts[0] + 1j * parts[1]
        return self._in_first_order(x)

    def half_solve(self, right):
        """`B right` with `B B^† = A^-1`, of a positive definite A.

        From random vectors whose products have the mean 1 it makes such with
        the mean `A^-1`.

        Args:
            right: `(n, m)` array.

        Raises:
            ValueError: if the matrix has a negative eigenvalue.
        """
        if self.num_negative:
            raise ValueError(
                f"The matrix has {self.num_negative} negative eigenvalues; its "
                "inverse has no root."
            )
        x = np.array(right, dtype=np.result_type(right.dtype, self.dtype))
        for position, front in enumerate(self._fronts):
            start = front.start
            for inverse, _ in self._panels.view(PANELS, position):
                stop = start + len(inverse)
                x[start:stop] = np.linalg.cholesky(inverse) @ x[start:stop]
                start = stop
        self._solve_backwards(x)
        return self._in_first_order(x)

    def _in_first_order(self, x):
        answer = np.empty_like(x)
        answer[self._order] = x
        return answer

    def _solve_in_place(self, x):
        for position, front in enumerate(self._fronts):
            boundary = x[front.boundary]
            start = front.start
            for inverse, row in self._panels.view(PANELS, position):
                stop = start + len(inverse)
                update = _times_adjoint(row, x[start:stop])
                inside = front.stop - stop
                x[stop : front.stop] -= update[:inside]
                boundary -= update[inside:]
                x[start:stop] = inverse @ x[start:stop]
                start = stop
            x[front.boundary] = boundary
        self._solve_backwards(x)

    def _solve_backwards(self, x):
        for position in reversed(range(len(self._fronts))):
            front = self._fronts[position]
            boundary = x[front.boundary]
            stop = front.stop
            for inverse, row in reversed(self._panels.view(PANELS, position)):
                start = stop - len(inverse)
                inside = front.stop - stop
                x[start:stop] -= row[:, :inside] @ x[stop : front.stop]
                x[start:stop] -= row[:, inside:] @ boundary
                stop = start

    def _eliminate(self, ordered, front, complements):
        """Panels of a front, and the Schur complement on its boundary.

        Only the upper triangles of Hermitian arrays are used here.
        """
        own = front.stop - front.start
        width = own + len(front.boundary)
        rows = ordered.of_front(front)
        complement = np.zeros((width - own,) * 2, dtype=self.dtype)
        for child in front.children:
            places = self._places(self._fronts[child].boundary, front)
            _add(rows, complement, complements.pop(child), places)
        # Panels are solved in place; their pivots give them back.
        pivots, panels = [], []
        for start in range(0, own, PANEL):
            stop = min(start + PANEL, own)
            panel = rows[start:stop, start:]
            if start:
                before = _times_pivots(pivots, rows[:start, start:stop])
                panel -= _adjoint(before) @ rows[:start, start:]
            pivots.append(_hermitian(panel[:, : stop - start]))
            inverse = self._invert(pivots[-1])
            rows[start:stop, stop:] = inverse @ panel[:, stop - start :]
            panels.append((inverse, rows[start:stop, stop:]))
            self.num_bytes += inverse.nbytes + panels[-1][1].nbytes
        for start in range(own, width, STRIPE):
            stop = min(start + STRIPE, width)
            stripe = _times_pivots(pivots, rows[:, start:stop])
            complement[start - own : stop - own, start - own :] -= (
                _adjoint(stripe) @ rows[:, start:]
            )
        return panels, complement

    def _invert(self, block):
        values, vectors = np.linalg.eigh(block, UPLO="U")
        sizes = np.abs(values)
        if not sizes.min() > SINGULAR * sizes.max():
            raise ValueError(
                "The matrix is singular, or a part of it is: a pivot vanishes. "
                "If it is H - E S, E lies on an eigenvalue; move it by 1e-4 "
                "eV."
            )
        self.num_negative += int((values < 0).sum())
        return (vectors / values) @ _adjoint(vectors)

    def _places(self, rows, front):
        """Positions of ordered rows in a front: its own, then its boundary."""
        own = front.stop - front.start
        return np.where(
            rows < front.stop,
            rows - front.start,
            own + np.searchsorted(front.boundary, rows),
        )


def num_work(dissection):
    """Most numbers that are kept at once while `HermitianFactors` are made,
    beside the factors of earlier fronts."""
    waiting = most = 0
    for front in dissection.fronts:
        own, beyond = front.stop - front.start, len(front.boundary)
        arrays = own * (own + beyond) + beyond**2
        most = max(most, waiting + arrays)
        for child in front.children:
            waiting -= len(dissection.fronts[child].boundary) ** 2
        # Panels and stripes that are on their way, then what is copied to the
        # disk, or stays.
        between = max(
            min(own, PANEL) * (3 * own + beyond),
            min(beyond, STRIPE) * (2 * own + beyond),
            own * (own // 2 + beyond),
        )
        most = max(most, waiting + arrays + between)
        waiting += beyond**2
    return most


def _cost(front):
    """Products that eliminate a front, nearly."""
    own, beyond = front.stop - front.start, len(front.boundary)
    return own * (own**2 / 3 + own * beyond + beyond**2)


class _InMemory(dict):
    """What `Scratch` does, without a disk."""

    def put(self, kind, number, nest):
        self[kind, number] = [(x, row.copy()) for x, row in nest]

    def view(self, kind, number):
        return self[kind, number]


class _OrderedRows:
    """Rows of a CSR matrix in the order of elimination, front by front."""

    def __init__(self, matrix, order):
        self._matrix, self._order = matrix, order
        self._place = np.empty_like(order)
        self._place[order] = np.arange(len(order))

    def of_front(self, front):
        """The rows of a front, from the diagonal on, as a dense array."""
        own = front.stop - front.start
        dense = np.zeros((own, own + len(front.boundary)), self._matrix.dtype)
        for start in range(0, own, PANEL):
            self._fill(dense[start : start + PANEL], front, front.start + start)
        return dense

    def _fill(self, dense, front, start):
        """Fills rows that begin with one."""
        part = self._matrix[self._order[start : start + len(dense)]]
        columns = self._place[part.indices]
        rows = np.repeat(np.arange(len(dense)), np.diff(part.indptr))
        ahead = columns >= front.start
        columns, rows = columns[ahead], rows[ahead]
        places = np.where(
            columns < front.stop,
            columns - front.start,
            front.stop - front.start + np.searchsorted(front.boundary, columns),
        )
        dense[rows, places] = part.data[ahead]


def _add(rows, complement, child, places):
    """Adds the Schur complement of a child to the arrays of its parent."""
    own = len(rows)
    split = int(np.searchsorted(places, own))
    for start in range(0, len(places), PANEL):
        stop = min(start + PANEL, len(places))
        # Columns before `start` are in the lower triangle.
        middle = min(max(split, start), stop)
        above, below = places[start:middle], places[middle:stop]
        if len(above):
            rows[np.ix_(above, places[start:])] += child[start:middle, start:]
        if len(below):
            complement[np.ix_(below - own, places[middle:] - own)] += child[
                middle:stop, middle:
            ]


def _hermitian(block):
    """A block from its upper triangle, exactly Hermitian, as its inverse is:
    what is not would grow with the number of panels."""
    above = np.triu(block, 1)
    whole = above + _adjoint(above)
    np.fill_diagonal(whole, block.diagonal().real)
    return whole


def _times_pivots(pivots, rows):
    """Panels as they were before they were solved."""
    found = np.empty_like(rows)
    start = 0
    for pivot in pivots:
        stop = start + len(pivot)
        found[start:stop] = pivot @ rows[start:stop]
        start = stop
    return found


def _adjoint(array):
    return array.conj().T


def _times_adjoint(row, x):
    """`row^† x` without a conjugate copy of a large array."""
    if row.dtype.kind == "c":
        return (row.T @ x.conj()).conj()
    return row.T @ x
