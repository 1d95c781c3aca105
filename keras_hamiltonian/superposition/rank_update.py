"""BLAS' symmetric rank-k update, which leaves other threads running."""

import ctypes

from numba.extending import get_cython_function_address

# NumPy's product computes the same, and then copies the other triangle;
# SciPy's wrapper keeps the interpreter's lock.
_DSYRK = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 10)(
    get_cython_function_address("scipy.linalg.cython_blas", "dsyrk")
)


def add_square(product, rows, factor, keep):
    """`product = keep product + factor rows.T @ rows`, upper triangle.

    Args:
        product: `(n, n)` contiguous float64 array, changed from the diagonal
            on.
        rows: `(k, n)` contiguous float64 array.
        factor, keep: floats. With `keep=0` nothing is read from `product`.
    """
    k, n = rows.shape
    size, depth = ctypes.c_int(n), ctypes.c_int(k)
    alpha, beta = ctypes.c_double(factor), ctypes.c_double(keep)
    # Fortran sees both transposed: the lower triangle of `rows.T rows`.
    lower, plain = ctypes.c_char(b"L"), ctypes.c_char(b"N")
    order = (lower, plain, size, depth, alpha, rows, size, beta, product, size)
    _DSYRK(
        *(
            x.ctypes.data if x is rows or x is product else ctypes.addressof(x)
            for x in order
        )
    )
