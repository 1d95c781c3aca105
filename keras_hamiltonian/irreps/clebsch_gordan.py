"""Real Clebsch-Gordan coefficients."""

import functools
import math

import numpy as np


@functools.cache
def clebsch_gordan(l1, l2, l3):
    """Coupling of two real irreps to a third, normalised to one.

    The tensor is the only one (up to its sign) that
    `D^l1 ⊗ D^l2 ⊗ D^l3` leaves unchanged: the real form of Wigner's 3j symbol,
    with e3nn's signs. `sqrt(2 l3 + 1)` times it is an orthogonal map from
    `l1 ⊗ l2` to `l3`.

    Args:
        l1, l2, l3: int. Degrees that fulfil the triangle rule.

    Returns:
        `(2 l1 + 1, 2 l2 + 1, 2 l3 + 1)` float64 array, read-only, with
        `sum(C²) = 1` and components m = -l..l.

    Raises:
        ValueError: if `|l1 - l2| <= l3 <= l1 + l2` does not hold.

    Example:

    >>> abs(clebsch_gordan(1, 1, 0)[0, 0, 0]) - 3**-0.5 < 1e-15
    np.True_

    Reference: Edmonds, Angular Momentum in Quantum Mechanics, eq. 3.6.11;
    checked against e3nn's `wigner_3j` to l = 8.
    """
    if not abs(l1 - l2) <= l3 <= l1 + l2:
        raise ValueError(
            f"Degrees {l1} and {l2} couple to {abs(l1 - l2)}..{l1 + l2}. "
            f"Received: l3={l3}."
        )
    complex_form = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
            complex_form[l1 + m1, l2 + m2, l3 + m1 + m2] = _racah(
                l1, m1, l2, m2, l3
            )
    real_form = np.einsum(
        "ai,bj,ck,ijk->abc",
        real_from_complex(l1),
        real_from_complex(l2),
        real_from_complex(l3).conj(),
        complex_form,
    )
    # The coefficients come out real or imaginary; this phase makes all real.
    coefficients = (real_form * (1j) ** (l1 + l2 - l3)).real
    coefficients /= np.linalg.norm(coefficients)
    coefficients.setflags(write=False)
    return coefficients


def real_from_complex(l):
    """Unitary matrix from complex to real spherical harmonics.

    Returns:
        `(2l+1, 2l+1)` complex array: row m of the real, column m' of the
        complex harmonics (Condon-Shortley phase), both -l..l.
    """
    matrix = np.zeros((2 * l + 1, 2 * l + 1), dtype=complex)
    matrix[l, l] = 1
    for m in range(1, l + 1):
        sign = (-1) ** m
        matrix[l + m, l + m] = sign / math.sqrt(2)
        matrix[l + m, l - m] = 1 / math.sqrt(2)
        matrix[l - m, l - m] = 1j / math.sqrt(2)
        matrix[l - m, l + m] = -1j * sign / math.sqrt(2)
    return matrix


def _racah(l1, m1, l2, m2, l3):
    """`<l1 m1 l2 m2 | l3 m1+m2>`, by Racah's sum in exact integers."""
    m3 = m1 + m2
    f = math.factorial
    total = 0
    first = max(0, l2 - l3 - m1, l1 - l3 + m2)
    last = min(l1 + l2 - l3, l1 - m1, l2 + m2)
    common = f(l1 + l2 - l3) * f(l3 + l1 - l2) * f(l3 + l2 - l1)
    for k in range(first, last + 1):
        total += (
            (-1) ** k
            * (
                f(l1 + m1)
                * f(l1 - m1)
                * f(l2 + m2)
                * f(l2 - m2)
                * f(l3 + m3)
                * f(l3 - m3)
            )
            / (
                f(k)
                * f(l1 + l2 - l3 - k)
                * f(l1 - m1 - k)
                * f(l2 + m2 - k)
                * f(l3 - l2 + m1 + k)
                * f(l3 - l1 - m2 + k)
            )
        )
    root = math.sqrt(
        f(l1 + m1)
        * f(l1 - m1)
        * f(l2 + m2)
        * f(l2 - m2)
        * f(l3 + m3)
        * f(l3 - m3)
    )
    return total / root * math.sqrt((2 * l3 + 1) * common / f(l1 + l2 + l3 + 1))
