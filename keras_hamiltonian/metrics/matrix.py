"""Errors of a predicted Hamiltonian, element by element.

All errors are mean absolute differences in the unit of the matrices (eV). With
spin the elements are complex and the modulus counts. Compared are the pairs
that the reference lists.
"""

import numpy as np
from ase.data import chemical_symbols
from scipy.optimize import bisect

from keras_hamiltonian.conventions import SHELL_LETTERS


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
    sums, counts = _block_sums(error, reference, basis, numbers)
    return _means(sums, counts)


class MatrixErrors:
    """Errors of a set of structures, one structure at a time.

    Args:
        basis: `OrbitalBasis`. Its common table names the orbital blocks.

    Attributes:
        structures: list of dicts, one per structure: `name`, `mae`,
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
        self._block_sums = np.zeros((2, size, size))
        self._pair_sums = {}

    def update(self, predicted, calculation):
        """Adds a structure.

        Args:
            predicted: `BlockMatrix`.
            calculation: `Calculation` with the Hamiltonian, and the overlap if
                the gauge-free error is wanted.
        """
        reference = calculation.hamiltonian
        numbers = calculation.atoms.numbers
        difference = matrix_difference(predicted, reference)
        error = np.abs(difference)
        is_onsite = _is_onsite(reference)[_element_pairs(reference)]
        entry = {
            "name": calculation.name,
            "mae": float(error.mean()),
            "onsite_mae": float(error[is_onsite].mean()),
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
        self._block_sums += _block_sums(error, reference, self.basis, numbers)
        self._add_pair_sums(error, reference, numbers)

    def block_errors(self):
        """Mean absolute error of each orbital block, pooled.

        Returns:
            `(num_shells, num_shells)` array in eV, and the list of the names
            of the shells, `["s1", "s2", "p1"]`, counted within each degree.
        """
        return _means(*self._block_sums), shell_names(self.basis)

    def result(self):
        """All errors, in eV: dicts, lists, strings and floats only.

        `mae_all` is the mean over structures of each structure's mean absolute
        error; `mae_cha` the largest of them, that of the structure
        `worst_structure`. `onsite_mae`, `hopping_mae` and `gauge_free_mae` are
        means over structures too; `element_pair_mae` and `block_mae` (rows of
        `block_names`) pool the matrix elements.

        Raises:
            ValueError: if no structure was added.
        """
        if not self.structures:
            raise ValueError("No structure was added; call `update` first.")
        worst = max(self.structures, key=lambda entry: entry["mae"])
        blocks, names = self.block_errors()
        means = {
            name: self._over_structures(name)
            for name in ("onsite_mae", "hopping_mae", "gauge_free_mae")
        }
        return {
            "unit": "eV",
            "mae_all": self._over_structures("mae"),
            "mae_cha": worst["mae"],
            "worst_structure": worst["name"],
            **means,
            "element_pair_mae": {
                pair: total / count
                for pair, (total, count) in sorted(self._pair_sums.items())
            },
            "block_names": names,
            "block_mae": [
                [None if np.isnan(x) else x for x in row]
                for row in blocks.tolist()
            ],
            "structures": self.structures,
        }

    def _over_structures(self, name):
        values = [entry[name] for entry in self.structures]
        values = [value for value in values if value is not None]
        return float(np.mean(values)) if values else None

    def _add_pair_sums(self, error, reference, numbers):
        pairs = reference.atom_pairs
        ordered = np.sort(numbers[pairs[:, 3:]], axis=1)
        kinds, kind = np.unique(ordered, axis=0, return_inverse=True)
        kind = kind.reshape(-1)[_element_pairs(reference)]
        sums = np.bincount(kind, error, minlength=len(kinds))
        counts = np.bincount(kind, minlength=len(kinds))
        for (a, b), total, count in zip(kinds, sums, counts):
            name = f"{chemical_symbols[a]}-{chemical_symbols[b]}"
            old = self._pair_sums.get(name, (0.0, 0))
            self._pair_sums[name] = (old[0] + float(total), old[1] + int(count))


def shell_names(basis):
    """Names of the shells of a basis' common table: `["s1", "s2", "p1"]`."""
    degrees = basis.table_shells
    return [
        f"{SHELL_LETTERS[l]}{degrees[: k + 1].count(l)}"
        for k, l in enumerate(degrees)
    ]


def matrix_difference(predicted, reference):
    """`H_pred - H_ref` for every element of the reference.

    Args:
        predicted: `BlockMatrix`. Its pairs may stand in another order.
        reference: `BlockMatrix`.

    Returns:
        `(num_elements,)` array in the order of `reference.entries`.

    Raises:
        ValueError: if the prediction lacks a pair or has other block shapes.
    """
    return _entries_at(predicted, reference) - reference.entries


def overlap_of_elements(reference, overlap):
    """The overlap that belongs to every element of a Hamiltonian.

    Args:
        reference: `BlockMatrix`, with or without spin.
        overlap: `BlockMatrix`, spinless. A pair it does not list is zero.

    Returns:
        `(num_elements,)` array; zero where the two spins differ.
    """
    position = np.array(
        [overlap.index.get(p, -1) for p in reference.index], dtype=np.int64
    )
    pair = _element_pairs(reference)
    rows, columns = _rows_and_columns(reference)
    partner = position[pair]
    known = partner >= 0
    sizes = overlap.shapes[partner[known]]
    row, column = rows[known], columns[known]
    # Division by the spinless size splits a spinful index into (spin, orbital).
    same_spin = row // sizes[:, 0] == column // sizes[:, 1]
    places = (
        overlap.boundaries[partner[known]]
        + (row % sizes[:, 0]) * sizes[:, 1]
        + column % sizes[:, 1]
    )
    values = np.zeros(len(pair))
    values[known] = np.where(same_spin, overlap.entries[places], 0.0)
    return values


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


def _entries_at(predicted, reference):
    if np.array_equal(predicted.atom_pairs, reference.atom_pairs):
        same = np.array_equal(predicted.shapes, reference.shapes)
        entries = predicted.entries
    else:
        missing = [p for p in reference.index if p not in predicted.index]
        if missing:
            raise ValueError(
                f"The prediction lacks {len(missing)} of {len(reference)} "
                f"atom pairs of the reference, first {missing[0]}. Compare "
                "with the reference's own `select`, or predict all pairs."
            )
        chosen = predicted.select([predicted.index[p] for p in reference.index])
        same = np.array_equal(chosen.shapes, reference.shapes)
        entries = chosen.entries
    if not same:
        raise ValueError(
            "Prediction and reference have blocks of different shapes; their "
            "orbitals or their spin layouts differ."
        )
    return entries


def _element_pairs(matrix):
    """Position of the pair that each element belongs to."""
    return np.repeat(np.arange(len(matrix)), np.diff(matrix.boundaries))


def _rows_and_columns(matrix):
    pair = _element_pairs(matrix)
    inside = np.arange(len(pair)) - matrix.boundaries[pair]
    return np.divmod(inside, matrix.shapes[pair, 1])


def _is_onsite(matrix):
    pairs = matrix.atom_pairs
    return ~pairs[:, :3].any(axis=1) & (pairs[:, 3] == pairs[:, 4])


def _block_sums(error, reference, basis, numbers):
    """Sum and count of the errors of each orbital block: `(2, n, n)`."""
    numbers = np.asarray(numbers)
    table = basis.table_shells
    shell_of_row = np.repeat(np.arange(len(table)), [2 * l + 1 for l in table])
    shells = np.zeros((numbers.max() + 1, basis.num_rows), dtype=np.int64)
    sizes = np.ones(numbers.max() + 1, dtype=np.int64)
    for number in set(numbers.tolist()):
        rows = basis.table_rows(number)
        shells[number, : len(rows)] = shell_of_row[rows]
        sizes[number] = len(rows)
    pair = _element_pairs(reference)
    blocks = np.zeros_like(pair)
    ends = numbers[reference.atom_pairs[:, 3:]]
    for end, index in enumerate(_rows_and_columns(reference)):
        element = ends[pair, end]
        shell = shells[element, index % sizes[element]]
        blocks = blocks * len(table) + shell
    shape = (len(table), len(table))
    sums = np.bincount(blocks, error, minlength=len(table) ** 2)
    counts = np.bincount(blocks, minlength=len(table) ** 2)
    return np.stack([sums.reshape(shape), counts.reshape(shape)])


def _means(sums, counts):
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _mean(values):
    return float(values.mean()) if values.size else None
