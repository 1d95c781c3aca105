"""Errors that a model has on structures like those of its training."""

import numpy as np

from keras_hamiltonian.encoded_arrays import decode_array
from keras_hamiltonian.encoded_arrays import encode_array
from keras_hamiltonian.metrics.labels import BIN_IN_ANGSTROM
from keras_hamiltonian.metrics.labels import shell_pairs

TABLES = ("errors", "sizes")


class TypicalErrors:
    """Mean absolute errors by elements, shells and distance.

    Onsite and hopping blocks of each pair of elements are pooled; hoppings in
    bins of 0.5 Å. Within two shells all elements count alike, so the numbers
    do not change when the crystal is rotated.

    Args:
        errors, sizes: dicts from `"C"` (onsite) and `"C-C"` (hopping) to
            `(bins, shells²)` arrays, eV: mean absolute errors, and those of a
            model that adds nothing, which bound them. NaN without data.
    """

    def __init__(self, errors, sizes):
        self.errors = errors
        self.sizes = sizes

    @classmethod
    def fit(cls, structures, basis):
        """From errors of structures.

        Args:
            structures: iterable of `(calculation, errors, sizes, factors)`: a
                `Calculation` with H; then `(num_elements,)` arrays: absolute
                errors in eV, those of a model that adds nothing, and factors
                by which errors are expected to be larger than typical ones.
            basis: `OrbitalBasis` of the model.

        Returns:
            `TypicalErrors`.
        """
        sums = {}
        for calculation, *values in structures:
            matrix = calculation.hamiltonian
            for key, elements, bins, shells in _groups(
                matrix, calculation, basis
            ):
                count = len(basis.table_shells) ** 2
                flat = (bins[:, None] * count + shells).ravel()
                rows = int(bins.max(initial=0)) + 1
                new = [
                    np.bincount(flat, x[elements].ravel(), rows * count)
                    for x in values
                ]
                new.append(np.bincount(flat, minlength=rows * count))
                new = np.array(new).reshape(4, rows, count)
                old = sums.get(key, new[:, :0])
                sums[key] = _padded_sum(old, new)
        found = {name: {} for name in TABLES}
        for key, (errors, sizes, factors, counts) in sums.items():
            with np.errstate(invalid="ignore", divide="ignore"):
                found["errors"][key] = _filled(errors / factors)
                found["sizes"][key] = _filled(sizes / counts)
        return cls(found["errors"], found["sizes"])

    def __call__(self, matrix, calculation, basis):
        """What is expected of each element of a matrix.

        Args:
            matrix: `BlockMatrix`.
            calculation: `Calculation` of its structure.
            basis: `OrbitalBasis` of the model.

        Returns:
            Two `(num_elements,)` arrays in eV: errors, and bounds of them.
            NaN for elements, pairs of elements or shells without data.
        """
        found = np.full((2, len(matrix.entries)), np.nan)
        for key, elements, bins, shells in _groups(matrix, calculation, basis):
            for row, table in zip(found, (self.errors, self.sizes)):
                if key in table:
                    near = np.minimum(bins, len(table[key]) - 1)
                    row[elements] = table[key][near][:, shells]
        return found

    def to_dict(self):
        """JSON values of which `from_dict` makes the same."""
        return {
            name: {k: encode_array(x) for k, x in getattr(self, name).items()}
            for name in TABLES
        }

    @classmethod
    def from_dict(cls, values):
        """The `TypicalErrors` of `to_dict`."""
        return cls(
            *(
                {k: decode_array(x) for k, x in values[name].items()}
                for name in TABLES
            )
        )


def _groups(matrix, calculation, basis):
    """Names of groups of pairs, with the elements of each pair, the bin of its
    distance, and the shells of the elements of a block."""
    pairs = matrix.atom_pairs
    symbols = np.array(calculation.atoms.get_chemical_symbols())
    names = [
        first if is_onsite else f"{first}-{second}"
        for (first, second), is_onsite in zip(
            symbols[pairs[:, 3:]].tolist(), matrix.is_onsite
        )
    ]
    vectors = calculation.edge_vectors(pairs)
    # The last digits of a position must not decide about a bin.
    bins = (np.linalg.norm(vectors, axis=1) + 1e-6) // BIN_IN_ANGSTROM
    bins = np.where(matrix.is_onsite, 0, bins).astype(int)
    names, group = np.unique(names, return_inverse=True)
    for k, name in enumerate(names):
        chosen = np.flatnonzero(group == k)
        # All blocks of two elements have the same shells.
        block = matrix.select(chosen[:1])
        shells = shell_pairs(block, basis, calculation.atoms.numbers)
        elements = matrix.boundaries[chosen][:, None] + np.arange(len(shells))
        yield str(name), elements, bins[chosen], shells


def _padded_sum(old, new):
    rows = max(old.shape[1], new.shape[1])
    return sum(
        np.pad(x, ((0, 0), (0, rows - x.shape[1]), (0, 0))) for x in (old, new)
    )


def _filled(table):
    """Bins without data are those of the nearest one with data."""
    known = np.flatnonzero(np.isfinite(table).any(axis=1))
    if not known.size:
        return table
    rows = np.arange(len(table))
    nearest = np.abs(rows[:, None] - known).argmin(axis=1)
    return table[known[nearest]]
