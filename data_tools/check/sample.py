"""One calculation, with what several checks need, computed once."""

import functools

import numpy as np
import scipy.linalg

from keras_hamiltonian.physics.hamiltonian import BlochMatrices

K_POINTS = (
    (0.0, 0.0, 0.0),
    (0.5, 0.0, 0.0),
    (1 / 3, 1 / 3, 0.0),
    (0.17, 0.29, 0.11),
)
# Rows of H(k) beyond which dense eigenvalues take minutes.
LARGEST_MATRIX = 3000


class Sample:
    """A calculation with its spectrum at a few k.

    Args:
        calculation: `Calculation`.
    """

    def __init__(self, calculation):
        self.calculation = calculation

    @property
    def matrices(self):
        """Dict from name to matrix, of those the calculation has."""
        calculation = self.calculation
        fields = {
            "H": calculation.hamiltonian,
            "S": calculation.overlap,
            "H⁰": calculation.initial_hamiltonian,
        }
        return {name: m for name, m in fields.items() if m is not None}

    @functools.cached_property
    def overlap_eigenvalues(self):
        """`(K, orbitals)` eigenvalues of S(k), or `None` if not computable."""
        overlap = self.calculation.overlap
        size = int(self.calculation.num_orbitals.sum())
        if overlap is None or not len(overlap) or size > LARGEST_MATRIX:
            return None
        matrices = self._bloch(overlap, None)
        if matrices is None:
            return None
        return np.array(
            [np.linalg.eigvalsh(matrices.dense_at(k)[0]) for k in K_POINTS]
        )

    @functools.cached_property
    def energies(self):
        """`(K, bands)` eigenvalues in eV, or `None` if not computable."""
        hamiltonian = self.calculation.hamiltonian
        overlaps = self.overlap_eigenvalues
        if hamiltonian is None or overlaps is None or overlaps.min() <= 0:
            return None
        matrices = self._bloch(hamiltonian, self.calculation.overlap)
        if matrices is None or matrices.size > LARGEST_MATRIX:
            return None
        return np.array(
            [scipy.linalg.eigvalsh(*matrices.dense_at(k)) for k in K_POINTS]
        )

    @functools.cached_property
    def block_norms(self):
        """`(P,)` Frobenius norms of the overlap's blocks."""
        overlap = self.calculation.overlap
        return np.array([np.linalg.norm(b) for b in overlap.blocks()])

    def _bloch(self, matrix, overlap):
        try:
            return BlochMatrices(matrix, overlap, self.calculation.num_orbitals)
        except ValueError:
            # Not Hermitian: `check_hermitian` says so.
            return None
