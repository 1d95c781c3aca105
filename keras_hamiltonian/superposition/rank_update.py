"""BLAS' symmetric rank-k update, for compiled loops."""

import llvmlite.binding
import numba
import numpy as np
from numba import types
from numba.extending import get_cython_function_address

# By name, so that what calls it can be kept on disk.
llvmlite.binding.add_symbol(
    "keras_hamiltonian_dsyrk",
    get_cython_function_address("scipy.linalg.cython_blas", "dsyrk"),
)
_dsyrk = types.ExternalFunction(
    "keras_hamiltonian_dsyrk", types.void(*[types.voidptr] * 10)
)


@numba.njit(nogil=True, cache=True)
def add_square(product, columns, first, last, factor, keep):
    """`product = keep product + factor c @ c.T`, upper triangle.

    Args:
        product: `(n, n)` contiguous float64 array, changed from the diagonal
            on.
        columns: `(n, k)` contiguous float64 array.
        first, last: ints. `c` is `columns[:, first:last]`.
        factor, keep: floats. With `keep=0` nothing is read from `product`.
    """
    n, k = columns.shape
    # Fortran sees the transposes: of the product the lower triangle.
    letters = np.array([ord("L"), ord("T")], dtype=np.uint8)
    sizes = np.array([n, last - first, max(k, 1)], dtype=np.int32)
    factors = np.array([factor, keep])
    start = columns.reshape(columns.size)[first:]
    _dsyrk(
        letters.ctypes,
        letters[1:].ctypes,
        sizes.ctypes,
        sizes[1:].ctypes,
        factors.ctypes,
        start.ctypes,
        sizes[2:].ctypes,
        factors[1:].ctypes,
        product.ctypes,
        sizes.ctypes,
    )
