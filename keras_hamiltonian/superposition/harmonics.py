"""Real spherical harmonics for compiled loops, and their products."""

import functools
import math

import numba
import numpy as np

# Degrees up to which the recursion has its numbers.
LMAX = 16


def _recursion():
    """Factors of the recursion, at the place l² + l + m of a component."""

    def norm(l, m):
        ratio = math.factorial(l - m) / math.factorial(l + m)
        return math.sqrt((2 * l + 1) / (4 * math.pi) * ratio * (1 + (m > 0)))

    up, down = np.zeros((2, (LMAX + 1) ** 2))
    top = np.zeros(LMAX + 1)
    for l in range(1, LMAX + 1):
        top[l] = norm(l, l) * math.prod(range(1, 2 * l, 2))
        for m in range(1 - l, l):
            k, n = l * l + l + m, abs(m)
            up[k] = norm(l, n) / norm(l - 1, n) * (2 * l - 1) / (l - n)
            if n < l - 1:
                down[k] = norm(l, n) / norm(l - 2, n) * (l + n - 1) / (l - n)
    return up, down, top


UP, DOWN, TOP = _recursion()
FIRST = 0.5 / math.sqrt(math.pi)


@numba.njit(nogil=True, cache=True)
def fill_harmonics(x, y, z, lmax, values):
    """`r^l Y_lm` of vectors, with orthonormal real harmonics, at l² + l + m.

    The recursion of `keras_hamiltonian.ops.spherical_harmonics`. A vector of
    length zero has degree 0 alone.

    Args:
        x, y, z: `(n,)` arrays.
        lmax: int, up to `LMAX`.
        values: `((lmax + 1)², n)` array, which is overwritten.
    """
    count = len(x)
    for p in range(count):
        values[0, p] = FIRST
    for l in range(1, lmax + 1):
        here, before, last = l * l + l, l * l - l, (l - 2) * (l - 1)
        # From m = ±(l - 1) to m = ±l; of degree 0 there is no sine.
        factor = TOP[l] / (TOP[l - 1] if l > 1 else FIRST)
        for p in range(count):
            cosine = values[before + l - 1, p]
            sine = values[before - l + 1, p] if l > 1 else 0.0
            values[here + l, p] = factor * (x[p] * cosine - y[p] * sine)
            values[here - l, p] = factor * (x[p] * sine + y[p] * cosine)
        for m in range(1 - l, l):
            up, down = UP[here + m], DOWN[here + m]
            if abs(m) == l - 1:
                for p in range(count):
                    values[here + m, p] = up * z[p] * values[before + m, p]
                continue
            for p in range(count):
                squared = x[p] * x[p] + y[p] * y[p] + z[p] * z[p]
                values[here + m, p] = (
                    up * z[p] * values[before + m, p]
                    - down * squared * values[last + m, p]
                )


def harmonics(vectors, lmax):
    """Harmonics of unit vectors: `(n, 3)` to `((lmax + 1)², n)`."""
    values = np.empty(((lmax + 1) ** 2, len(vectors)))
    fill_harmonics(*np.ascontiguousarray(vectors.T), lmax, values)
    return values


@functools.cache
def gaunt(l1, l2, l3):
    """Integrals of three real harmonics over the sphere.

    Returns:
        `(2 l1 + 1, 2 l2 + 1, 2 l3 + 1)` array, zero unless the degrees fulfil
        the triangle rule and have an even sum. By a quadrature that is exact
        for polynomials of degree l1 + l2 + l3.
    """
    degree = l1 + l2 + l3
    heights, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    angles = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
    circles = np.sqrt(1 - heights**2)[:, None]
    points = np.stack(
        np.broadcast_arrays(
            circles * np.cos(angles), circles * np.sin(angles), heights[:, None]
        ),
        axis=-1,
    ).reshape(-1, 3)
    weights = np.repeat(weights, degree + 1) * 2 * np.pi / (degree + 1)
    values = harmonics(points, max(l1, l2, l3))
    first, second, third = (values[l * l : (l + 1) ** 2] for l in (l1, l2, l3))
    integrals = np.einsum(
        "p,ap,bp,cp->abc", weights, first, second, third, optimize=True
    )
    integrals[np.abs(integrals) < 1e-13] = 0
    return integrals
