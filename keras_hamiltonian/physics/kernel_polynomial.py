"""Densities of states of large cells, from Chebyshev moments of H and S.

The levels are those of `X = S^-1 H`. With X moved into [-1, 1], the moments
`tr T_n(X)` take one product with H and one solution with S each, and no state;
random vectors give the trace with an error that falls with the size of the
cell. S^-1 is applied by a factorization: it is exact, is made once, and a
solution costs some three products with H, while conjugate gradients would take
hundreds of steps for each moment, because nearly dependent orbitals make the
condition number of S some 10^4.

Weiße, Wellein, Alvermann and Fehske, Rev. Mod. Phys. 78, 275 (2006).
"""

import numpy as np
import scipy.linalg
import scipy.sparse

from keras_hamiltonian.messages import counted
from keras_hamiltonian.physics.solvers.small_norms import damped_hamiltonian

# Lanczos steps for the bounds of the spectrum, at most; they end when the
# bounds are known to this share of the width, which is added on both sides.
LANCZOS_STEPS = 60
MARGIN = 0.01
# A moment cannot exceed the first one by more than rounding.
LARGEST_MOMENT = 1 + 1e-6


class KernelPolynomial:
    """Chebyshev moments of H(k) and S(k), and the densities they give.

    Args:
        matrices: `BlochMatrices`.
        k_point: `(3,)` array, fractional.

    Attributes:
        center: float, in eV. Middle of the bounds of the spectrum.
        half_width: float, in eV.

    Raises:
        ValueError: if S(k) is not positive definite.

    Example:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> from keras_hamiltonian.physics.hamiltonian import BlochMatrices
    >>> levels = BlockMatrix.from_blocks(
    ...     [(0, 0, 0, 0, 0)], [np.diag([-1.0, 3.0, 4.0])]
    ... )
    >>> matrices = BlochMatrices(levels, None, [3])
    >>> polynomial = KernelPolynomial(matrices, np.zeros(3))
    >>> moments = polynomial.local_moments([1], 400)
    >>> float(polynomial.counts(moments, [2.5, 3.5]).round(3)[0, 1])
    1.0
    """

    def __init__(self, matrices, k_point):
        self._k_point = np.asarray(k_point, dtype=np.float64)
        overlap = matrices.overlap_at(self._k_point)
        self._hamiltonian = damped_hamiltonian(
            matrices,
            self._k_point,
            matrices.hamiltonian_at(self._k_point),
            overlap,
        )
        self._overlap = overlap
        self._factors = matrices.factorize(overlap)
        if self._factors.num_negative:
            raise ValueError(
                f"S(k) at k = {self._k_point.round(4).tolist()} is not "
                f"positive definite: {self._factors.num_negative} of its "
                "eigenvalues are negative. The overlap does not belong to this "
                "structure, or lacks pairs."
            )
        self._dtype = np.result_type(self._hamiltonian.dtype, overlap.dtype)
        low, high = self._bounds()
        self.center = (low + high) / 2
        self.half_width = (high - low) / 2

    def num_moments(self, energies, broadening):
        """Moments for a width at the middle of energies.

        Jackson's kernel makes each level nearly a Gaussian, whose standard
        deviation is `π / num_moments` of the half width in the middle of the
        spectrum, and less towards its ends.

        Args:
            energies: array in eV.
            broadening: float, in eV.

        Returns:
            int, even.
        """
        middle = (np.min(energies) + np.max(energies)) / 2
        place = (middle - self.center) / self.half_width
        slope = np.sqrt(1 - min(abs(place), 0.99) ** 2)
        number = np.pi * slope * self.half_width / broadening
        return 2 * int(np.ceil(number / 2))

    def stochastic_moments(self, num_moments, num_vectors, groups=(), seed=0):
        """Moments of the trace, and of its parts, from random vectors.

        Vectors r with `<r r^†> = S^-1` give `r^† S T_n(X) r`, a mean of all
        levels with positive weights; the parts are Mulliken's.

        Args:
            num_moments: int, even.
            num_vectors: int.
            groups: sequence of int arrays of rows.
            seed: int. Of the random vectors, together with the wave vector.

        Returns:
            `(num_vectors, 1 + num_groups, num_moments)` array.

        Raises:
            ValueError: if a level lies outside the bounds.
        """
        size = self._overlap.shape[0]
        parts = [np.arange(size), *groups]
        members = scipy.sparse.csr_matrix(
            (
                np.ones(sum(map(len, parts))),
                np.concatenate(parts),
                np.cumsum([0, *map(len, parts)]),
            ),
            shape=(len(parts), size),
        )
        vector = self._factors.half_solve(self._random(num_vectors, seed))
        dual = self._overlap @ vector
        moments = np.empty((num_moments, len(parts), num_vectors))
        steps = counted(
            self._chebyshev(vector, dual, num_moments // 2),
            "moments",
            "pairs of moments",
            num_moments // 2,
        )
        for n, (vector, dual, following) in enumerate(steps):
            moments[2 * n] = members @ (dual.conj() * vector).real
            moments[2 * n + 1] = members @ (dual.conj() * following).real
        # 2 T_n T_m = T_(n+m) + T_(n-m)
        moments[2:] *= 2
        moments[2::2] -= moments[0]
        moments[3::2] -= moments[1]
        moments = moments.transpose(2, 1, 0)
        self._check(moments[:, 0])
        return moments

    def local_moments(self, rows, num_moments):
        """Moments of single orbitals, without random vectors.

        Their density is Mulliken's `Re c* (S c)` of an orbital in each state.

        Args:
            rows: ints. Orbitals.
            num_moments: int, even.

        Returns:
            `(num_rows, num_moments)` array.
        """
        rows = np.asarray(rows)
        vector = np.zeros((self._overlap.shape[0], len(rows)), self._dtype)
        vector[rows, np.arange(len(rows))] = 1
        dual = self._overlap @ vector
        moments = np.empty((len(rows), num_moments))
        steps = self._chebyshev(vector, dual, num_moments)
        for n, (vector, _, _) in enumerate(steps):
            moments[:, n] = vector[rows, np.arange(len(rows))].real
        return moments

    def densities(self, moments, energies):
        """Levels per eV of moments, with Jackson's kernel.

        Args:
            moments: `(..., num_moments)` array.
            energies: `(num_energies,)` array in eV.

        Returns:
            `(..., num_energies)` array; 0 outside the bounds.
        """
        x, inside = self._places(energies)
        orders = np.arange(moments.shape[-1])
        waves = np.cos(orders[:, None] * np.arccos(x))
        waves[1:] *= 2
        found = (moments * jackson_kernel(len(orders))) @ waves
        return found * inside / (np.pi * self.half_width * np.sqrt(1 - x**2))

    def counts(self, moments, energies):
        """Levels below energies, integrals of `densities`, like it."""
        x, _ = self._places(energies)
        angles = np.arccos(x)
        orders = np.arange(1, moments.shape[-1])[:, None]
        waves = -2 / np.pi * np.sin(orders * angles) / orders
        waves = np.concatenate([[1 - angles / np.pi], waves])
        return (moments * jackson_kernel(len(waves))) @ waves

    def _places(self, energies):
        """Energies in units of the half width, and whether they are inside."""
        x = (np.asarray(energies) - self.center) / self.half_width
        return np.clip(x, -1 + 1e-12, 1 - 1e-12), np.abs(x) < 1

    def _random(self, num_vectors, seed):
        """Columns of random signs, or of random phases where H is complex."""
        turns = np.frombuffer(self._k_point.tobytes(), np.uint32)
        generator = np.random.default_rng([seed, *turns])
        shape = self._overlap.shape[0], num_vectors
        if self._dtype.kind == "c":
            return np.exp(2j * np.pi * generator.random(shape))
        return generator.choice([-1.0, 1.0], shape)

    def _chebyshev(self, vector, dual, number):
        """Yields `T_n v`, `S T_n v` and `T_(n+1) v` for n = 0, 1, ..."""

        def product(vector, dual):
            return (
                self._hamiltonian @ vector - self.center * dual
            ) / self.half_width

        following = product(vector, dual)
        for _ in range(number):
            solved = self._factors.solve(following)
            yield vector, dual, solved
            vector, dual, following = (
                solved,
                following,
                2 * product(solved, following) - dual,
            )

    def _bounds(self):
        """Energies below and above all levels, by Lanczos steps in S.

        Zhou and Li, Linear Algebra Appl. 435, 480 (2011).
        """
        vector = self._factors.half_solve(self._random(1, 0))
        dual = self._overlap @ vector
        norm = np.sqrt((dual.conj() * vector).sum().real)
        vector, dual, before = vector / norm, dual / norm, 0.0
        diagonal, beside = [], []
        for _ in range(min(LANCZOS_STEPS, len(vector))):
            product = self._hamiltonian @ vector - before
            diagonal.append((vector.conj() * product).sum().real)
            product = product - diagonal[-1] * dual
            solved = self._factors.solve(product)
            rest = np.sqrt(max((solved.conj() * product).sum().real, 0.0))
            levels, shares = scipy.linalg.eigh_tridiagonal(diagonal, beside)
            width = max(np.ptp(levels), np.abs(levels).max() * 1e-6, 1e-6)
            errors = rest * np.abs(shares[-1, [0, -1]])
            if errors.max() < MARGIN * width:
                break
            before = rest * dual
            vector, dual = solved / rest, product / rest
            beside.append(rest)
        margins = errors + MARGIN * width
        return levels[0] - margins[0], levels[-1] + margins[1]

    def _check(self, moments):
        if not np.abs(moments).max() <= LARGEST_MOMENT * moments[:, 0].max():
            raise ValueError(
                "A level lies outside the bounds of the spectrum, "
                f"{self.center - self.half_width:.2f} to "
                f"{self.center + self.half_width:.2f} eV, which Lanczos steps "
                "found. H or S have numbers that are none, or too large."
            )


def random_densities(
    matrices, k_point, energies, broadening, groups, num_vectors
):
    """Densities `(num_vectors, 1 + num_groups, num_energies)`, and the numbers
    of levels below the first energy `(num_vectors,)`."""
    polynomial = KernelPolynomial(matrices, k_point)
    moments = polynomial.stochastic_moments(
        polynomial.num_moments(energies, broadening), num_vectors, groups
    )
    below = polynomial.counts(moments[:, 0], energies[:1])[:, 0]
    return polynomial.densities(moments, energies), below


def orbital_densities(matrices, k_point, energies, broadening, groups):
    """Densities of each group, and the number below the first energy."""
    polynomial = KernelPolynomial(matrices, k_point)
    number = polynomial.num_moments(energies, broadening)
    moments = np.array(
        [polynomial.local_moments(rows, number).sum(axis=0) for rows in groups]
    )
    below = polynomial.counts(moments, energies[:1]).sum()
    return polynomial.densities(moments, energies), below


def jackson_kernel(number):
    """Jackson's factors `(number,)`, which keep densities positive.

    Weiße et al., equation 71.
    """
    n = np.arange(number)
    turn = np.pi / (number + 1)
    kernel = (number - n + 1) * np.cos(turn * n)
    return (kernel + np.sin(turn * n) / np.tan(turn)) / (number + 1)
