"""Errors of a predicted Hamiltonian, element by element.

All errors are mean absolute differences in the unit of the matrices (eV). With
spin the elements are complex and the modulus counts. Compared are the pairs
that the reference lists.
"""

import collections

import numpy as np
from scipy.optimize import bisect

from keras_hamiltonian.metrics.labels import BIN_IN_ANGSTROM
from keras_hamiltonian.metrics.labels import ElementLabels
from keras_hamiltonian.metrics.labels import PooledMeans
from keras_hamiltonian.metrics.labels import shell_names
from keras_hamiltonian.metrics.labels import shell_pairs
from keras_hamiltonian.orbitals.matrix_elements import matrix_difference
from keras_hamiltonian.orbitals.matrix_elements import overlap_of_elements

# Number of orbital blocks in the list of the largest errors.
NUM_WORST = 5


def mean_absolute_error(predicted, reference):
    """Mean of `|H_pred - H_ref|` over all matrix elements of a structure.

    Args:
        predicted: `BlockMatrix`.
        reference: `BlockMatrix`.

    Returns:
        float.

    Raises:
        ValueError: if the prediction lacks a pair or has other block shapes.
    """
    return float(np.abs(matrix_difference(predicted, reference)).mean())


def gauge_free_mean_absolute_error(predicted, reference, overlap):
    """Mean absolute error after the best shift of the energy zero.

    `H` and `H + μ S` are the same physics: all bands move by μ. See
    `energy_shift`.

    Args:
        predicted: `BlockMatrix`.
        reference: `BlockMatrix`.
        overlap: `BlockMatrix`, spinless.

    Returns:
        float, never above `mean_absolute_error`.
    """
    difference = matrix_difference(predicted, reference)
    overlap = overlap_of_elements(reference, overlap)
    shift = _best_shift(difference, overlap)
    return float(np.abs(difference - shift * overlap).mean())


def energy_shift(predicted, reference, overlap):
    """The μ for which `H_ref + μ S` is closest to the prediction.

    Closest in the mean absolute difference, so a few bad elements do not move
    it, as they would the least-squares μ.

    Args:
        predicted: `BlockMatrix`.
        reference: `BlockMatrix`.
        overlap: `BlockMatrix`, spinless.

    Returns:
        float, in eV.
    """
    return _best_shift(
        matrix_difference(predicted, reference),
        overlap_of_elements(reference, overlap),
    )


def block_mean_absolute_errors(predicted, reference, basis, numbers):
    """Mean absolute error of each orbital block of one structure.

    Shells are those of the basis' common table: elements are pooled. For
    several structures see `MatrixErrors`.

    Args:
        predicted: `BlockMatrix`.
        reference: `BlockMatrix`.
        basis: `OrbitalBasis`.
        numbers: `(num_atoms,)` atomic numbers.

    Returns:
        `(num_shells, num_shells)` array; NaN where no pair has the block.
    """
    error = np.abs(matrix_difference(predicted, reference))
    shells = shell_pairs(reference, basis, numbers)
    return _means(*_shell_sums(error, shells, basis))


def means_over(structures):
    """Errors of a set, from those of its structures.

    Args:
        structures: list of dicts, see `MatrixErrors`.

    Returns:
        Dict of `mae_all`, `mae_cha`, `worst_structure`, `onsite_mae`,
        `hopping_mae`, `gauge_free_mae` and `gauge_free_mae_cha`, see
        `MatrixErrors.result`.
    """
    worst = max(structures, key=lambda entry: entry["mae"])
    found = {
        name: [e[name] for e in structures if e[name] is not None]
        for name in ("mae", "onsite_mae", "hopping_mae", "gauge_free_mae")
    }
    means = {k: float(np.mean(v)) if v else None for k, v in found.items()}
    return {
        "mae_all": means.pop("mae"),
        "mae_cha": worst["mae"],
        "worst_structure": worst["name"],
        **means,
        "gauge_free_mae_cha": max(found["gauge_free_mae"], default=None),
    }


class MatrixErrors:
    """Errors of a set of structures, one structure at a time.

    Args:
        basis: `OrbitalBasis`. Its common table names the orbital blocks.

    Attributes:
        structures: list of dicts, one per structure: `name`, `num_atoms`,
            `cell` (formula and lengths of the lattice vectors), `mae`,
            `gauge_free_mae` and `energy_shift` (`None` without an overlap),
            `onsite_mae`, `hopping_mae`, and the number of `elements`.

    Example:

    >>> errors = MatrixErrors(store.basis)               # doctest: +SKIP
    >>> for name in split.test:                          # doctest: +SKIP
    ...     errors.update(predict(store[name]), store[name])
    >>> errors.result()["mae_all"]                       # doctest: +SKIP
    0.00023
    """

    def __init__(self, basis):
        self.basis = basis
        self.structures = []
        size = len(basis.table_shells)
        self._shell_sums = np.zeros((2, size, size))
        self._groups = {
            "element_pair": PooledMeans("mae"),
            "distance": PooledMeans("mae"),
        }
        self._bin_blocks = collections.Counter()
        self._worst = []

    def update(self, predicted, calculation):
        """Adds a structure.

        Args:
            predicted: `BlockMatrix`.
            calculation: `Calculation` with the Hamiltonian, and the overlap if
                the gauge-free error is wanted.
        """
        reference = calculation.hamiltonian
        difference = matrix_difference(predicted, reference)
        error = np.abs(difference)
        labels = ElementLabels(reference, self.basis, calculation)
        is_onsite = labels.is_onsite[labels.pair]
        entry = {
            "name": calculation.name,
            "num_atoms": len(calculation.atoms),
            "cell": _cell(calculation.atoms),
            "mae": float(error.mean()),
            "onsite_mae": _mean(error[is_onsite]),
            "hopping_mae": _mean(error[~is_onsite]),
            "gauge_free_mae": None,
            "energy_shift": None,
            "elements": int(error.size),
        }
        if calculation.overlap is not None:
            overlap = overlap_of_elements(reference, calculation.overlap)
            shift = _best_shift(difference, overlap)
            shifted = np.abs(difference - shift * overlap)
            entry["energy_shift"] = shift
            entry["gauge_free_mae"] = float(shifted.mean())
        self.structures.append(entry)
        self._shell_sums += _shell_sums(error, labels.shells, self.basis)
        groups = labels.groups()
        for name, pooled in self._groups.items():
            names, positions = groups[name]
            pooled.add(names, positions[labels.pair], error)
        names, positions = groups["distance"]
        counts = np.bincount(positions[positions >= 0], minlength=len(names))
        self._bin_blocks.update(dict(zip(names, counts.tolist())))
        self._add_worst(labels, error, calculation.name)

    def merge(self, other):
        """Adds the errors of other structures, in their order."""
        self.structures += other.structures
        self._shell_sums += other._shell_sums
        for name, pooled in self._groups.items():
            pooled.merge(other._groups[name])
        self._bin_blocks.update(other._bin_blocks)
        self._worst += other._worst
        self._keep_worst()

    def block_errors(self):
        """Mean absolute error of each orbital block, pooled.

        Returns:
            `(num_shells, num_shells)` array in eV, and the list of the names
            of the shells, `["s1", "s2", "p1"]`, counted within each degree.
        """
        return _means(*self._shell_sums), shell_names(self.basis)

    def result(self):
        """All errors, in eV: dicts, lists, strings and floats only.

        Returns:
            Dict of

            - `unit`: `"eV"`, of all errors.
            - `mae_all`: mean over structures of each structure's mean absolute
              error; `mae_cha`: the largest of them, that of the structure
              `worst_structure`.
            - `onsite_mae`, `hopping_mae`, `gauge_free_mae` and
              `gauge_free_mae_cha`: means over structures, and the largest.
            - `element_pair_mae`: dict from pair to error; matrix elements are
              pooled, as in all that follows.
            - `block_mae`: rows of pairs of shells, named by `block_names`;
              `worst_block`: the largest, a dict of `shells` and `mae`.
            - `worst_places`: the orbital blocks with the largest mean error,
              dicts of `structure`, `atoms`, `cell`, `shells`, `distance` (Å)
              and `mae`.
            - `distance_bins`: dicts of `from` and `to` (Å), `mae`, `blocks`
              (atom pairs) and `elements`; hoppings only.
            - `structures`: see the attribute.

        Raises:
            ValueError: if no structure was added.
        """
        if not self.structures:
            raise ValueError("No structure was added; call `update` first.")
        blocks, names = self.block_errors()
        pairs = self._groups["element_pair"].result()
        pairs = {pair: values["mae"] for pair, values in pairs.items()}
        row, column = np.unravel_index(np.nanargmax(blocks), blocks.shape)
        return {
            "unit": "eV",
            **means_over(self.structures),
            "element_pair_mae": pairs,
            "block_names": names,
            "block_mae": [
                [None if np.isnan(x) else x for x in row]
                for row in blocks.tolist()
            ],
            "worst_block": {
                "shells": f"{names[row]}-{names[column]}",
                "mae": float(blocks[row, column]),
            },
            "worst_places": self._worst,
            "distance_bins": [
                {
                    "from": number * BIN_IN_ANGSTROM,
                    "to": (number + 1) * BIN_IN_ANGSTROM,
                    "mae": values["mae"],
                    "blocks": self._bin_blocks[number],
                    "elements": values["count"],
                }
                for number, values in self._groups["distance"].result().items()
            ],
            "structures": self.structures,
        }

    def _add_worst(self, labels, error, structure):
        means = labels.block_means(error)
        ranked = np.where(labels.one_of_two(), means, -1.0)
        for block in np.argsort(-ranked, kind="stable")[:NUM_WORST]:
            place = labels.describe(block, self.basis)
            place = {"structure": structure, **place}
            self._worst.append({**place, "mae": float(means[block])})
        self._keep_worst()

    def _keep_worst(self):
        self._worst.sort(key=lambda place: -place["mae"])
        del self._worst[NUM_WORST:]


def _cell(atoms):
    """Formula and lengths of the lattice vectors, in words."""
    lengths = " x ".join(f"{x:.1f}" for x in atoms.cell.lengths() if x)
    formula = atoms.get_chemical_formula()
    return f"{formula}, {lengths} Å" if lengths else formula


def _best_shift(difference, overlap):
    """Minimises `Σ |difference - μ overlap|`: the zero of its slope in μ."""
    used = np.abs(overlap) > 1e-12
    difference, overlap = difference[used], overlap[used]
    total = np.abs(difference).sum()
    if not total:
        return 0.0
    # Beyond this bound the sum exceeds its value at μ = 0.
    bound = 2 * total / np.abs(overlap).sum()

    def slope(shift):
        rest = difference - shift * overlap
        modulus = np.maximum(np.abs(rest), 1e-300)
        return float(-(overlap * rest.real / modulus).sum())

    return float(bisect(slope, -bound, bound, xtol=1e-10 * bound))


def _shell_sums(error, shells, basis):
    """Sum and count of the errors of each pair of shells: `(2, n, n)`."""
    size = len(basis.table_shells)
    sums = np.bincount(shells, error, minlength=size**2)
    counts = np.bincount(shells, minlength=size**2)
    return np.stack([sums.reshape(size, size), counts.reshape(size, size)])


def _means(sums, counts):
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _mean(values):
    return float(values.mean()) if values.size else None
