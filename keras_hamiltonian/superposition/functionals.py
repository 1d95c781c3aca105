"""Exchange and correlation without spin: PBE and two forms of LDA."""

import numba
import numpy as np

from keras_hamiltonian.superposition.libxc import LibxcFunctional

# The order is the number by which compiled loops know them.
FUNCTIONALS = ("PBE", "PW92", "PZ81")

THIRD = 1.0 / 3.0
SLATER = -0.75 * (3.0 / np.pi) ** THIRD
WIGNER_SEITZ = (3.0 / (4.0 * np.pi)) ** THIRD
FERMI_SQUARED = (3.0 * np.pi**2) ** (2.0 / 3.0)
SCREENING = 16.0 / np.pi * (3.0 * np.pi**2) ** THIRD
BETA = 0.06672455060314922
GAMMA = (1.0 - np.log(2.0)) / np.pi**2
KAPPA = 0.804
MU = BETA * np.pi**2 / 3.0


def find_functional(name):
    """Position in `FUNCTIONALS`, or a `LibxcFunctional`.

    Raises:
        ValueError: if there is no such functional, or libxc is missing.
    """
    if name.upper() in FUNCTIONALS:
        return FUNCTIONALS.index(name.upper())
    return LibxcFunctional(name)


def is_lda(name):
    """Whether a functional depends on the density alone.

    Raises:
        ValueError: see `find_functional`.
    """
    functional = find_functional(name)
    if isinstance(functional, LibxcFunctional):
        return functional.kind == "LDA"
    return functional != FUNCTIONALS.index("PBE")


def functional_name(functional):
    """The name that `find_functional` takes."""
    if isinstance(functional, LibxcFunctional):
        return functional.name
    return FUNCTIONALS[functional]


@numba.njit(nogil=True, cache=True)
def pw92(density):
    """Correlation energy per electron, and its derivative by the density.

    Perdew and Wang, Phys. Rev. B 45, 13244 (1992); hartree, bohr.
    """
    radius = WIGNER_SEITZ / np.cbrt(density)
    root = np.sqrt(radius)
    a, alpha = 0.0310907, 0.21370
    b1, b2, b3, b4 = 7.5957, 3.5876, 1.6382, 0.49294
    front = -2.0 * a * (1.0 + alpha * radius)
    inner = 2 * a * root * (b1 + root * (b2 + root * (b3 + root * b4)))
    slope = a * (b1 / root + 2 * b2 + 3 * b3 * root + 4 * b4 * radius)
    logarithm = np.log(1.0 + 1.0 / inner)
    by_radius = -2.0 * a * alpha * logarithm
    by_radius -= front * slope / (inner * inner + inner)
    return front * logarithm, -by_radius * radius / (3.0 * density)


@numba.njit(nogil=True, cache=True)
def pz81(density):
    """As `pw92`, of Perdew and Zunger, Phys. Rev. B 23, 5048 (1981)."""
    radius = WIGNER_SEITZ / np.cbrt(density)
    if radius < 1.0:
        a, b, c, d = 0.0311, -0.048, 0.0020, -0.0116
        logarithm = np.log(radius)
        energy = a * logarithm + b + (c * logarithm + d) * radius
        by_radius = a / radius + c * (logarithm + 1.0) + d
    else:
        gamma, b1, b2 = -0.1423, 1.0529, 0.3334
        root = np.sqrt(radius)
        below = 1.0 + b1 * root + b2 * radius
        energy = gamma / below
        by_radius = -energy / below * (0.5 * b1 / root + b2)
    return energy, -by_radius * radius / (3.0 * density)


@numba.njit(nogil=True, cache=True)
def pbe(density, squared_gradient):
    """Derivatives of the energy density by the density and by |∇n|².

    Perdew, Burke and Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996).
    """
    root = np.cbrt(density)
    exchange = SLATER * root
    scale = 1.0 / (4.0 * FERMI_SQUARED * root**8)
    s2 = squared_gradient * scale
    below = 1.0 + MU * s2 / KAPPA
    enhancement = 1.0 + KAPPA - KAPPA / below
    by_s2 = MU / (below * below)
    by_density = exchange * (4.0 * enhancement - 8.0 * by_s2 * s2) / 3.0
    by_square = density * exchange * by_s2 * scale

    energy, energy_slope = pw92(density)
    scale = 1.0 / (SCREENING * root * density * density)
    t2 = squared_gradient * scale
    exponential = np.exp(-energy / GAMMA)
    a = BETA / GAMMA / (exponential - 1.0)
    at = a * t2
    below = 1.0 + at + at * at
    inner = 1.0 + BETA / GAMMA * t2 * (1.0 + at) / below
    # Derivatives of H = γ ln(inner) by t² and by A, and of A by the energy.
    by_t2 = BETA * (1.0 + 2.0 * at) / (below * below * inner)
    by_a = -BETA * at * t2 * t2 * (2.0 + at) / (below * below * inner)
    a_slope = a * a * exponential / BETA * energy_slope
    by_density += energy + GAMMA * np.log(inner) + density * energy_slope
    by_density += density * by_a * a_slope - 7.0 / 3.0 * by_t2 * t2
    return by_density, by_square + density * by_t2 * scale


@numba.njit(nogil=True, cache=True)
def derivatives(functional, density, squared_gradient):
    """Both derivatives of `pbe`, of a functional given by its number."""
    if functional == 0:
        return pbe(density, squared_gradient)
    energy, slope = pw92(density) if functional == 1 else pz81(density)
    exchange = SLATER * np.cbrt(density)
    return 4.0 * THIRD * exchange + energy + density * slope, 0.0
