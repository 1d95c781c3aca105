"""Species whose functions are Gaussians, for which integrals are known."""

import math

import numpy as np

from keras_hamiltonian.superposition.radial import RadialFunction
from keras_hamiltonian.superposition.species import Projector
from keras_hamiltonian.superposition.species import Species

REACH = 6.0
MESH = np.arange(0.0, REACH + 1e-9, 0.01)
# Exponents (bohr^-2) and heights; all is below 1e-12 at the reach.
ORBITALS = {"O": [(0, 1.6), (1, 0.9), (2, 1.1)], "H": [(0, 0.8), (1, 1.2)]}
# Degree, exponent, energies (hartree) for j = l + 1/2 and l - 1/2.
PROJECTORS = {
    "O": [(0, 2.0, (1.3,)), (1, 1.4, (-0.7, 0.4)), (2, 1.8, (0.6, 0.9))],
    "H": [(0, 1.1, (-0.5,)), (1, 1.7, (0.3, -0.2))],
}
POTENTIALS = {"O": (1.2, -2.0), "H": (1.5, 0.7)}
# Valence densities `n |s|²` of normalised Gaussians, and those of the core.
DENSITIES = {"O": (0.9, 6.0), "H": (0.8, 1.0)}
CORES = {"O": (2.5, 0.5)}


def norm(degree, exponent):
    """Makes `∫ r² (N r^l exp(-a r²))² dr` one."""
    return math.sqrt(
        2 * (2 * exponent) ** (degree + 1.5) / math.gamma(degree + 1.5)
    )


def gaussian(degree, exponent, factor=None):
    """`factor r^l exp(-a r²)`; normalised without a factor."""
    factor = norm(degree, exponent) if factor is None else factor
    tail = factor * np.exp(-exponent * MESH**2)
    below = degree * MESH ** max(degree - 1, 0)
    slopes = (below - 2 * exponent * MESH ** (degree + 1)) * tail
    return RadialFunction(degree, MESH, MESH**degree * tail, slopes)


def density(exponent, electrons):
    """`electrons` times the square of a normalised s Gaussian."""
    height = electrons * (2 * exponent / math.pi) ** 1.5
    return gaussian(0, 2 * exponent, height)


def gaussian_species(symbols=("O", "H")):
    """Dict from symbols to species."""
    return {
        symbol: Species(
            symbol,
            REACH,
            tuple(gaussian(*orbital) for orbital in ORBITALS[symbol]),
            tuple(
                Projector((gaussian(l, a),) * len(energies), energies)
                for l, a, energies in PROJECTORS[symbol]
            ),
            gaussian(0, *POTENTIALS[symbol]),
            density(*DENSITIES[symbol]),
            density(*CORES[symbol]) if symbol in CORES else None,
            DENSITIES[symbol][1],
        )
        for symbol in symbols
    }
