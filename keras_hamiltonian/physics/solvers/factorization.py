"""One factorization of a large sparse matrix, many solutions."""

import warnings

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import splu

from keras_hamiltonian.memory import MemoryLimit
from keras_hamiltonian.memory import check_room
from keras_hamiltonian.physics.solvers.hermitian_factors import HermitianFactors
from keras_hamiltonian.physics.solvers.hermitian_factors import num_work
from keras_hamiltonian.scratch import Scratch

SOLVERS = ("multifrontal", "superlu", "pardiso")
# Vectors that Lanczos steps keep beside factors.
NUM_VECTORS = 600


def factorize(matrix, dissection, solver="multifrontal", max_memory=None):
    """Factors of a sparse Hermitian matrix, to solve `A x = b` many times.

    Args:
        matrix: sparse `(n, n)` matrix, Hermitian, real or complex.
        dissection: `Dissection`. The order of elimination.
        solver: str. `"multifrontal"` (`HermitianFactors`); `"superlu"`, of
            SciPy, in the same order; or `"pardiso"`, of MKL, if the package
            `pypardiso` is installed.
        max_memory: str such as `"4GB"`, or number of bytes. Limit of the whole
            process, for `"multifrontal"`: factors that do not fit wait on the
            disk (`TMPDIR`). Defaults to none.

    Returns:
        Object with `solve(b)` and `num_negative`, which is `None` where the
        solver does not count the negative eigenvalues.

    Raises:
        ValueError: for an unknown or absent solver, a singular matrix, or a
            limit of memory that cannot be kept.
    """
    if solver == "multifrontal":
        scratch = None
        if max_memory is not None:
            scratch = _scratch(matrix.dtype.itemsize, dissection, max_memory)
        return HermitianFactors(matrix, dissection, scratch)
    if max_memory is not None:
        raise MemoryLimit(
            'solver="multifrontal" keeps a limit of memory. Received: '
            f"{solver!r} with max_memory={max_memory!r}."
        )
    if solver == "superlu":
        return _SuperLU(matrix, dissection.order)
    if solver == "pardiso":
        return _Pardiso(matrix)
    raise ValueError(f"`solver` is one of {SOLVERS}. Received: {solver!r}.")


def _scratch(itemsize, dissection, max_memory):
    """A `Scratch` if factors do not fit into memory, else `None`."""
    vectors = NUM_VECTORS * len(dissection.order) * itemsize
    work = max(itemsize * num_work(dissection), vectors)
    room = check_room(
        max_memory,
        work,
        f"to factorize a matrix of {len(dissection.order)} orbitals, with the "
        "factors on the disk",
    )
    return None if itemsize * dissection.num_entries <= room else Scratch()


class _SuperLU:
    """SciPy's LU factors. Its own orders fill in more than a dissection."""

    num_negative = None

    def __init__(self, matrix, order):
        self._order = order
        try:
            self._factors = splu(
                matrix.tocsr()[order][:, order].tocsc(),
                permc_spec="NATURAL",
                diag_pivot_thresh=0.01,
                options={"SymmetricMode": True},
            )
        except RuntimeError as error:
            raise ValueError(
                "The matrix is singular. If it is H - E S, E lies on an "
                "eigenvalue; move it by 1e-4 eV."
            ) from error

    def solve(self, right):
        x = np.empty_like(right)
        x[self._order] = self._factors.solve(right[self._order])
        return x


class _Pardiso:
    """MKL's LU factors; a complex matrix as a real one of twice the size."""

    num_negative = None

    def __init__(self, matrix, _=None):
        try:
            import pypardiso
        except ImportError as error:
            raise ValueError(
                'solver="pardiso" needs the package pypardiso: '
                "pip install pypardiso."
            ) from error
        self._is_complex = np.iscomplexobj(matrix)
        if self._is_complex:
            matrix = scipy.sparse.bmat(
                [[matrix.real, -matrix.imag], [matrix.imag, matrix.real]]
            )
        self._matrix = matrix.tocsr()
        self._matrix.sort_indices()
        self._solver = pypardiso.PyPardisoSolver()
        self._solver.factorize(self._matrix)

    def solve(self, right):
        if not self._is_complex:
            return self._solve(right)
        x = self._solve(np.concatenate([right.real, right.imag]))
        half = len(right)
        return x[:half] + 1j * x[half:]

    def _solve(self, right):
        with warnings.catch_warnings():
            # It warns of right sides that it copies to Fortran order.
            warnings.simplefilter(
                "ignore", scipy.sparse.SparseEfficiencyWarning
            )
            x = self._solver.solve(self._matrix, np.asfortranarray(right))
        return x.reshape(right.shape)
