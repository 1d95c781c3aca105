"""Expected errors of one prediction: of blocks, of atoms, of levels."""

import functools

import numpy as np

from keras_hamiltonian.orbitals.matrix_elements import element_pairs
from keras_hamiltonian.physics.hamiltonian import BlochMatrices


class ExpectedErrors:
    """Errors that a prediction is expected to have.

    Args:
        novelty: `(num_atoms,)` array. How far the environment of each atom is
            from those of the training set, in units of what is usual for
            structures of its kind that the model was not trained on.
        blocks: `BlockMatrix` of the pairs of the Hamiltonian: expected
            absolute error of every element, eV; NaN where nothing is known.
        num_orbitals: `(num_atoms,)` ints.
        level_factor: float, see `ErrorEstimate`; `None` if levels were not
            compared.

    Attributes: those arguments.
    """

    def __init__(self, novelty, blocks, num_orbitals, level_factor=None):
        self.novelty = np.asarray(novelty)
        self.blocks = blocks
        self.num_orbitals = np.asarray(num_orbitals)
        self.level_factor = level_factor

    @property
    def mae(self):
        """Expected mean absolute error of all elements, eV."""
        known = self.blocks.entries[np.isfinite(self.blocks.entries)]
        return float(known.mean()) if known.size else float("nan")

    @property
    def of_atoms(self):
        """Mean over the blocks that start at each atom: `(num_atoms,)`, eV."""
        entries = self.blocks.entries
        known = np.isfinite(entries)
        atom = self.blocks.atom_pairs[:, 3][element_pairs(self.blocks)][known]
        size = len(self.novelty)
        counts = np.bincount(atom, minlength=size)
        sums = np.bincount(atom, entries[known], size)
        return sums / np.where(counts, counts, np.nan)

    def of_levels(self, states):
        """Expected errors of levels, to first order in the error of H.

        `ΔE_n = c_n† ΔH c_n`. With independent errors of the elements its
        variance is `Σ |c_a|² |c_b|² σ_ab²`, and a combination of orbitals of
        small norm, whose coefficients are large, has large ones. Errors are
        not independent, so the result is multiplied by `level_factor`.

        Args:
            states: `States` with coefficients.

        Returns:
            `(num_states,)` array in eV: expected absolute errors from the
            Fermi level.

        Raises:
            ValueError: if levels were not compared in the calibration.
        """
        if self.level_factor is None:
            raise ValueError(
                "Levels were not compared when the error estimate was fitted: "
                "the validation structures have no overlap or no Fermi level. "
                "Fit it with structures that do (`fit_error_estimate`)."
            )
        weights = np.abs(states.coefficients) ** 2
        variances = self._squares @ weights
        return self.level_factor * np.sqrt((weights * variances).sum(axis=0))

    @functools.cached_property
    def _squares(self):
        """Sum over lattice vectors of squared errors, sparse, eV²."""
        squares = np.nan_to_num(self.blocks.entries) ** 2
        matrices = BlochMatrices(
            self.blocks.with_entries(squares), None, self.num_orbitals
        )
        return matrices.hamiltonian_at((0.0, 0.0, 0.0))

    def to_dict(self):
        """JSON values: `unit`, `mae`, `atoms` (of each) and `novelty`."""
        return {
            "unit": "eV",
            "mae": _number(self.mae),
            "atoms": [_number(x) for x in self.of_atoms],
            "novelty": [_number(x) for x in self.novelty],
        }


def _number(value):
    return float(value) if np.isfinite(value) else None
