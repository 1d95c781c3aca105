"""Position and gradient between orbitals, exact, by two-centre integrals."""

import itertools
import math

import numpy as np

from keras_hamiltonian.superposition.harmonics import gaunt
from keras_hamiltonian.superposition.radial import RadialFunction
from keras_hamiltonian.superposition.two_centre import TwoCentreTable

# Where x, y and z stand among the harmonics of degree 1.
CARTESIAN = (2, 0, 1)


class VectorTables:
    """Tables of `<A| r - r_B |B>` or of `<A| ∇ |B>`.

    A vector operator acts on one orbital `f(r) Y_lm`, and what it makes are
    orbitals of degree l - 1 and l + 1 about the same atom:
    `r_a f Y_lm = sqrt(4π/3) Σ_l' G(1a, lm, l'm') r f Y_l'm'`, and for ∇
    instead of r f the functions `f' + (l + 1) f / r` (l - 1) and
    `f' - l f / r` (l + 1). So both are overlaps of two centres.

    Args:
        species: list of `Species`; a kind is a position in it.
        operator: str. `"position"` or `"gradient"`.
        grid: `MomentumGrid`, whose Bessel functions are used again.

    Reference: Varshalovich, Moskalev and Khersonskii, Quantum Theory of
    Angular Momentum, 5.7, for the gradient.
    """

    def __init__(self, species, operator, grid):
        orbitals = [grid.transform(s.orbitals) for s in species]
        made = [_made(s, operator) for s in species]
        transforms = [grid.transform(functions) for functions, _ in made]
        self.maps = [matrix for _, matrix in made]
        self.tables = {
            (a, b): TwoCentreTable.of_functions(
                (species[a].degrees, [f.degree for f in made[b][0]]),
                (orbitals[a], transforms[b]),
                species[a].reach + species[b].reach,
                grid,
            )
            for a, b in itertools.product(range(len(species)), repeat=2)
        }

    def entries(self, pairs):
        """Flat entries of the blocks of a crystal.

        Args:
            pairs: `CrystalPairs`.

        Returns:
            `(3, num_entries)` array, bohr or 1/bohr.
        """
        entries = np.empty((3, pairs.num_entries))
        for (a, b), table in self.tables.items():
            positions = pairs.of_kinds(a, b)
            if len(positions):
                blocks = table.blocks(pairs.vectors[positions])
                blocks = np.einsum("pij,ajk->apik", blocks, self.maps[b])
                places = pairs.places(positions)
                entries[:, places] = blocks.reshape(3, *places.shape)
        return entries


def _made(species, operator):
    """Functions that the operator makes, and from them to its components."""
    functions = []
    rows = sum(2 * l + 1 for l in species.degrees)
    size = sum(2 * k + 1 for l in species.degrees for k in _neighbors(l))
    matrix = np.zeros((3, size, rows))
    start = made = 0
    for orbital in species.orbitals:
        l = orbital.degree
        here = slice(start, start + 2 * l + 1)
        for degree in _neighbors(l):
            functions.append(ACTIONS[operator](orbital, degree))
            there = slice(made, made + 2 * degree + 1)
            coefficients = math.sqrt(4 * math.pi / 3) * gaunt(1, l, degree)
            matrix[:, there, here] = coefficients[list(CARTESIAN)].transpose(
                0, 2, 1
            )
            made = there.stop
        start = here.stop
    return functions, matrix


def _neighbors(degree):
    return [k for k in (degree - 1, degree + 1) if k >= 0]


def _position(orbital, degree):
    r, f = orbital.mesh, orbital.values
    return RadialFunction(degree, r, r * f, f + r * orbital.slopes)


def _gradient(orbital, degree):
    r, slopes = orbital.mesh, orbital.slopes
    ratio = np.divide(orbital.values, r, out=slopes.copy(), where=r > 0)
    l = orbital.degree
    factor = l + 1 if degree < l else -l
    return RadialFunction.through(degree, r, slopes + factor * ratio)


ACTIONS = {"position": _position, "gradient": _gradient}
