"""Corrections of the second stage: where they lower the error."""

import dataclasses

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.explain.inputs import as_calculation
from keras_hamiltonian.metrics.stage_comparison import StageComparison
from keras_hamiltonian.prediction import predict_hamiltonian

KINDS = {
    "block type": "block_types",
    "element pair": "element_pairs",
    "distance": "distance_bins",
    "structure": "structures",
}


@dataclasses.dataclass
class Corrections:
    """Corrections of a second stage, by group.

    Attributes:
        result: dict, of `StageComparison.result`, in eV; also `second_stage`
            of a `report.json`.
    """

    result: dict

    @property
    def is_compared(self):
        """Whether the errors of both stages are known."""
        return self.result["all"]["baseline_mae"] is not None

    def groups(self, kind):
        """Corrections and errors of the groups of one kind.

        Args:
            kind: str. `"block type"`, `"element pair"`, `"distance"` (of
                hoppings) or `"structure"`.

        Returns:
            Dict from the name of a group to a dict of `count` of orbital
            blocks, `correction`, `baseline_mae`, `refined_mae` (eV),
            `improved` and `gain`, the decrease of the error: negative where
            the second stage hurts. Without Hamiltonians to compare with, only
            `count` and `correction` are not `None`.

        Raises:
            ValueError: if the kind is unknown.
        """
        if kind not in KINDS:
            raise ValueError(
                f"Groups are by {', '.join(KINDS)}. Received: {kind!r}."
            )
        found = self.result[KINDS[kind]]
        if kind == "distance":
            found = {f"{b['from']:g} to {b['to']:g} Å": b for b in found}
        # Onsite blocks come before hoppings.
        names = sorted(found, key=lambda name: name.startswith("hopping"))
        return {name: self._with_gain(found[name]) for name in names}

    def ranked(self, kind, count=None):
        """Groups of one kind, those with the smallest gain first.

        Args:
            kind: str. See `groups`.
            count: int. Number of groups. Defaults to all.

        Returns:
            List of `(name, group)`. Without Hamiltonians to compare with, the
            largest corrections come first.
        """
        key = "gain" if self.is_compared else "correction"
        groups = sorted(
            self.groups(kind).items(),
            key=lambda item: item[1][key],
            reverse=not self.is_compared,
        )
        return groups[:count]

    def __str__(self):
        header = f"{'':22}{'blocks':>9}{'correction':>12}"
        if self.is_compared:
            header += f"{'before':>9}{'after':>9}{'gain':>9}{'improved':>10}"
        lines = [
            "Second stage, means over orbital blocks in meV",
            header,
            _line("all", self._with_gain(self.result["all"])),
        ]
        for kind in KINDS:
            groups = self.groups(kind).items()
            if kind == "structure":
                groups = self.ranked(kind, 5)
                kind = "structure, helped least"
                if not self.is_compared:
                    kind = "structure, changed most"
            lines += [f"by {kind}", *(_line(*item) for item in groups)]
        if self.result["harmed"]:
            lines.append("blocks harmed most")
        for block in self.result["harmed"][:5]:
            before, after = (
                MEV_PER_EV * block[name]
                for name in ("baseline_mae", "refined_mae")
            )
            lines.append(
                f"  {block['structure']}: {'-'.join(block['atoms'])} "
                f"{block['cell']} {block['shells']} at "
                f"{block['distance']:.2f} Å, {before:.3g} to {after:.3g}"
            )
        return "\n".join(lines)

    def _with_gain(self, group):
        gain = None
        if self.is_compared:
            gain = group["baseline_mae"] - group["refined_mae"]
        names = ("count", "correction", "baseline_mae", "refined_mae")
        return {
            **{name: group[name] for name in (*names, "improved")},
            "gain": gain,
        }


def stage_corrections(model, structures):
    """Compares the two stages of a cascade on some structures.

    Args:
        model: `HamiltonianCascade`.
        structures: iterable of `Calculation` or `ase.Atoms`, all with a
            Hamiltonian to compare with, or all without.

    Returns:
        `Corrections`.

    Raises:
        ValueError: if there is no second stage or no structure, or some
            structures have a Hamiltonian and others not.

    Example:

    >>> held_out = (store[name] for name in split.test)    # doctest: +SKIP
    >>> print(kh.explain.stage_corrections(model, held_out))  # doctest: +SKIP
    """
    first, *second = model.stages()
    if not second:
        raise ValueError(
            "Corrections need a `HamiltonianCascade`. Received: a "
            f"{type(model).__name__}, which has one stage."
        )
    comparison = StageComparison(model.basis)
    for number, structure in enumerate(structures):
        calculation = as_calculation(structure, model, str(number))
        pairs = None
        if calculation.hamiltonian is not None:
            pairs = calculation.hamiltonian.atom_pairs
        blocks = [
            predict_hamiltonian(stage, calculation, pairs)
            for stage in (first, model)
        ]
        comparison.update(*blocks, calculation)
    return Corrections(comparison.result())


def _line(name, group):
    text = f"  {name:20}{group['count']:9}"
    text += f"{MEV_PER_EV * group['correction']:12.3g}"
    if group["gain"] is not None:
        for key in ("baseline_mae", "refined_mae", "gain"):
            text += f"{MEV_PER_EV * group[key]:9.3g}"
        text += f"{100 * group['improved']:8.1f} %"
    return text
