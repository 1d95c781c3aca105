"""Integrals of functions about two centres, from tables over distance."""

import dataclasses
import itertools

import numba
import numpy as np
from scipy.interpolate import CubicSpline

from keras_hamiltonian.superposition.harmonics import gaunt
from keras_hamiltonian.superposition.harmonics import harmonics
from keras_hamiltonian.superposition.momentum import STEP

# bohr; a shorter vector has no direction.
TINY = 1e-12


@dataclasses.dataclass(frozen=True, eq=False)
class TwoCentreTable:
    """Blocks `<A at 0| O |B at R>` of an operator without angular part.

    `8 Σ_LM i^(la - lb - L) G(A, B, LM) Y_LM(R) ∫ k² O(k) A(k) B(k) j_L(kR) dk`
    with the real Gaunt coefficients G (Siegman, Sankey and Niklewski;
    Soler et al. 2002, appendix A, with the real harmonics of this package).

    Attributes:
        splines: `(num_steps, num_integrals, 4)` array. Cubics in the distance
            from the last multiple of `STEP` bohr, constant term first.
        terms: `(num_terms, 4)` int array: row, column, integral, component of
            the harmonics of R.
        factors: `(num_terms,)` array.
        shape: tuple, rows and columns of a block.
        lmax: int. Largest L.
    """

    splines: np.ndarray
    terms: np.ndarray
    factors: np.ndarray
    shape: tuple[int, int]
    lmax: int

    @classmethod
    def of_functions(cls, degrees, transforms, reach, grid, operator=1.0):
        """From the transforms of two sets of functions.

        Args:
            degrees: pair of sequences of int, of the functions of A and B.
            transforms: pair of `(num_k, num_functions)` arrays.
            reach: float, bohr. The largest distance asked for.
            grid: `MomentumGrid` of the transforms.
            operator: array `(num_k,)` or float: O(k); k²/2 for the kinetic
                energy in hartree.

        Returns:
            `TwoCentreTable`.
        """

        def transformed(p, q, degree):
            product = transforms[0][:, p] * transforms[1][:, q]
            # Transforms carry a factor i^l each.
            phase = (degrees[0][p[0]] - degrees[1][q[0]] - degree) // 2
            return (-1) ** phase * operator_column * product

        operator_column = np.broadcast_to(operator, grid.k.shape)[:, None]
        return cls.of_products(degrees, transformed, reach, grid)

    @classmethod
    def of_products(cls, degrees, transformed, reach, grid):
        """From the transforms of products, degree by degree.

        Args:
            degrees: pair of sequences of int.
            transformed: function `(p, q, L)` of arrays of shells, each of one
                degree, and a degree, to the `(num_k, len(p))` array that
                stands for `i^(la - lb - L) O A B` above.
            reach: float, bohr.
            grid: `MomentumGrid`.

        Returns:
            `TwoCentreTable`.
        """
        size = int(np.ceil(reach / STEP)) + 2
        weights = (grid.weights * grid.k**2)[:, None]
        values, terms, factors, count = [], [], [], 0
        for l1, l2 in itertools.product(*map(sorted, map(set, degrees))):
            first, second = (
                np.flatnonzero(np.array(side) == l)
                for side, l in zip(degrees, (l1, l2))
            )
            p = np.repeat(first, len(second))
            q = np.tile(second, len(first))
            for degree in range(abs(l1 - l2), l1 + l2 + 1, 2):
                integrand = weights * transformed(p, q, degree)
                values.append(grid.bessel(degree, size) @ integrand)
                for row, column in zip(p, q):
                    added = _terms(degrees, row, column, degree, count)
                    terms.append(added[0])
                    factors.append(added[1])
                    count += 1
        cubics = CubicSpline(
            STEP * np.arange(size),
            np.concatenate(values, axis=1),
            bc_type="natural",
        ).c
        return cls(
            np.ascontiguousarray(cubics[::-1].transpose(1, 2, 0)),
            np.concatenate(terms),
            np.concatenate(factors),
            tuple(sum(2 * l + 1 for l in side) for side in degrees),
            max(degrees[0]) + max(degrees[1]),
        )

    def blocks(self, vectors):
        """Blocks at vectors from A to B.

        Args:
            vectors: `(num_pairs, 3)` array, bohr, within the reach.

        Returns:
            `(num_pairs, rows, columns)` array.
        """
        lengths = np.linalg.norm(vectors, axis=1)
        units = vectors / np.maximum(lengths, TINY)[:, None]
        blocks = np.zeros((len(vectors), *self.shape))
        _fill_blocks(
            lengths,
            np.ascontiguousarray(harmonics(units, self.lmax).T),
            self.splines,
            self.terms,
            self.factors,
            blocks,
        )
        return blocks


def _terms(degrees, p, q, degree, integral):
    """Terms of two shells that couple to one L, and their factors."""
    coefficients = gaunt(degrees[0][p], degrees[1][q], degree)
    where = np.argwhere(coefficients)
    starts = [
        sum(2 * l + 1 for l in side[:position])
        for side, position in zip(degrees, (p, q))
    ]
    terms = np.empty((len(where), 4), dtype=np.int64)
    terms[:, :2] = where[:, :2] + starts
    terms[:, 2] = integral
    terms[:, 3] = degree**2 + where[:, 2]
    return terms, 8.0 * coefficients[tuple(where.T)]


@numba.njit(nogil=True, cache=True)
def _fill_blocks(lengths, harmonics, splines, terms, factors, blocks):
    integrals = np.empty(splines.shape[1])
    for pair in range(len(lengths)):
        step = min(int(lengths[pair] / STEP), len(splines) - 1)
        t = lengths[pair] - step * STEP
        for n in range(len(integrals)):
            c = splines[step, n]
            integrals[n] = ((c[3] * t + c[2]) * t + c[1]) * t + c[0]
        for n in range(len(terms)):
            row, column, integral, component = terms[n]
            value = integrals[integral] * harmonics[pair, component]
            blocks[pair, row, column] += factors[n] * value
