"""What a second stage changed, and whether that was for the better."""

import numpy as np

from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.metrics.labels import BIN_IN_ANGSTROM
from keras_hamiltonian.metrics.labels import ElementLabels
from keras_hamiltonian.metrics.labels import PooledMeans
from keras_hamiltonian.metrics.labels import shell_names
from keras_hamiltonian.orbitals.matrix_elements import matrix_difference

# Number of orbital blocks in the list of those whose error grew most.
NUM_HARMED = 10


class StageComparison:
    """Baseline and cascade side by side, one structure at a time.

    What counts is the orbital block: the part of an atom pair's block between
    one shell of each atom. It is improved if its mean absolute error fell.

    Args:
        basis: `OrbitalBasis`. Its common table names the orbital blocks.

    Example:

    >>> comparison = StageComparison(cascade.basis)      # doctest: +SKIP
    >>> comparison.update(baseline, refined, calculation)  # doctest: +SKIP
    >>> comparison.result()["all"]["improved"]           # doctest: +SKIP
    0.82
    """

    def __init__(self, basis):
        self.basis = basis
        fields = ("correction", "baseline_mae", "refined_mae", "improved")
        names = ("all", "kind", "element_pair", "distance", "shells")
        names += ("block_type", "structure")
        self._groups = {name: PooledMeans(*fields) for name in names}
        self._harmed = []
        self._is_known = None

    def update(self, baseline, refined, calculation):
        """Adds a structure.

        Args:
            baseline: `BlockMatrix` of the first stage.
            refined: `BlockMatrix` of both stages.
            calculation: `Calculation`. Without a Hamiltonian the correction
                alone is measured.

        Raises:
            ValueError: if it has a Hamiltonian and others have none.
        """
        reference = calculation.hamiltonian
        is_known = reference is not None
        self._check_known(is_known, calculation.name)
        labels = ElementLabels(
            reference if is_known else baseline, self.basis, calculation
        )
        if is_known:
            first = matrix_difference(baseline, reference)
            second = matrix_difference(refined, reference)
            values = [
                labels.block_means(np.abs(value))
                for value in (second - first, first, second)
            ]
            gain = values[1] - values[2]
            values.append((gain > 0).astype(float))
            self._add_harmed(labels, values, gain, calculation.name)
        else:
            correction = np.abs(matrix_difference(refined, baseline))
            values = [labels.block_means(correction)]
            values += 3 * [np.full_like(values[0], np.nan)]
        pair, shells = labels.block_keys.T
        for name, (names, positions) in labels.groups().items():
            self._groups[name].add(names, positions[pair], *values)
        everything = np.zeros(len(pair), dtype=int)
        self._groups["all"].add(["all"], everything, *values)
        self._groups["structure"].add([calculation.name], everything, *values)
        names = range(len(self.basis.table_shells) ** 2)
        self._groups["shells"].add(names, shells, *values)
        names, positions = self._block_types(labels)
        self._groups["block_type"].add(names, positions, *values)

    def merge(self, other):
        """Adds what changed in other structures, in their order.

        Raises:
            ValueError: if one of both has a Hamiltonian and the other has not.
        """
        if other._is_known is None:
            return
        self._check_known(other._is_known, "the other one")
        for name, pooled in self._groups.items():
            pooled.merge(other._groups[name])
        self._harmed += other._harmed
        self._keep_harmed()

    def result(self):
        """What changed, in eV: dicts, lists, strings and floats only.

        Each group has the means over its orbital blocks of `correction` (mean
        absolute element of what the second stage adds), `baseline_mae`,
        `refined_mae` and `improved` (fraction of the blocks whose error
        fell), and their `count`. Blocks count equally here, in
        `MatrixErrors` elements do.

        Returns:
            Dict of the groups `all`, `onsite`, `hopping`, `element_pairs`,
            `block_types` (`"onsite s-p"`) and `structures` (dicts),
            `distance_bins` (list, with `from` and `to` in Å; hoppings
            only), and of `block_names` with `block_improved` and
            `block_correction`, arrays over pairs of shells; `harmed`, the
            orbital blocks whose error grew most: `structure`, `atoms`,
            `cell`, `shells`, `distance` (Å), `baseline_mae`, `refined_mae`.
            Where no Hamiltonian is known the errors are `None`.

        Raises:
            ValueError: if no structure was added.
        """
        groups = {name: g.result() for name, g in self._groups.items()}
        if not groups["all"]:
            raise ValueError("No structure was added; call `update` first.")
        if not self._is_known:
            for values in (v for g in groups.values() for v in g.values()):
                unknown = ("baseline_mae", "refined_mae", "improved")
                values.update(dict.fromkeys(unknown))
        return {
            "unit": "eV",
            "all": groups["all"]["all"],
            "onsite": groups["kind"].get("onsite"),
            "hopping": groups["kind"].get("hopping"),
            "element_pairs": groups["element_pair"],
            "block_types": groups["block_type"],
            "structures": groups["structure"],
            "distance_bins": [
                {
                    "from": number * BIN_IN_ANGSTROM,
                    "to": (number + 1) * BIN_IN_ANGSTROM,
                    **values,
                }
                for number, values in groups["distance"].items()
            ],
            "block_names": shell_names(self.basis),
            "block_improved": self._table(groups["shells"], "improved"),
            "block_correction": self._table(groups["shells"], "correction"),
            "harmed": self._harmed,
        }

    def _check_known(self, is_known, name):
        if self._is_known not in (None, is_known):
            raise ValueError(
                "Structures with and without a Hamiltonian are compared "
                f"separately. Received: {name!r} "
                f"{'with' if is_known else 'without'} one, others "
                f"{'without' if is_known else 'with'}."
            )
        self._is_known = is_known

    def _block_types(self, labels):
        """Names, and the position of each orbital block: kind and degrees."""
        degrees = np.array(self.basis.table_shells)
        pair, shells = labels.block_keys.T
        ends = np.stack(np.divmod(shells, len(degrees)))
        low, high = np.sort(degrees[ends], axis=0)
        kind = np.where(labels.is_onsite[pair], 0, 1)
        size = degrees.max() + 1
        names = [
            f"{name} {SHELL_LETTERS[first]}-{SHELL_LETTERS[second]}"
            for name in ("onsite", "hopping")
            for first in range(size)
            for second in range(size)
        ]
        return names, (kind * size + low) * size + high

    def _table(self, groups, field):
        size = len(self.basis.table_shells)
        return [
            [groups.get(row * size + k, {}).get(field) for k in range(size)]
            for row in range(size)
        ]

    def _add_harmed(self, labels, values, gain, structure):
        ranked = np.where(labels.one_of_two(), gain, np.inf)
        for block in np.argsort(ranked, kind="stable")[:NUM_HARMED]:
            if not gain[block] < 0:
                break
            self._harmed.append(
                {
                    "structure": structure,
                    **labels.describe(block, self.basis),
                    "baseline_mae": float(values[1][block]),
                    "refined_mae": float(values[2][block]),
                }
            )
        self._keep_harmed()

    def _keep_harmed(self):
        self._harmed.sort(key=lambda b: b["baseline_mae"] - b["refined_mae"])
        del self._harmed[NUM_HARMED:]
