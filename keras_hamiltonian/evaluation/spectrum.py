"""Errors of energies and wave functions, on a grid of wave vectors."""

import numpy as np

from keras_hamiltonian.electronic_structure import ElectronicStructure
from keras_hamiltonian.metrics.levels import DEGENERACY_IN_EV
from keras_hamiltonian.metrics.levels import level_similarities
from keras_hamiltonian.metrics.levels import near_degenerate_groups
from keras_hamiltonian.physics.fermi import k_grid_points
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import k_grid
from keras_hamiltonian.physics.states import lowest_states

# Points of the grid are this length over the height of the cell.
GRID_LENGTH_IN_ANGSTROM = 15.0
# Width of the bins of energy.
BIN_IN_EV = 1.0
# Solving larger matrices takes minutes for each wave vector.
LARGEST_SIZE = 2000


class SpectrumErrors:
    """Errors of levels, one structure at a time.

    `H c = E S c` is solved with the overlap of the calculation, both for its
    Hamiltonian and for each prediction, so that only errors of H count. Level
    n is compared with level n. Levels of the reference below its Fermi level
    are occupied.

    All eigenstates of every matrix are solved at each wave vector: 0.1 CPU s
    for 234 orbitals, growing with the third power.

    Args:
        names: sequence of str. Names of the predictions.
        window: float. Energies about the Fermi level, in eV.
        tolerance: float. Levels within this energy count as degenerate, in
            eV; see `kh.metrics.level_similarities`.
        overlap_threshold: float. Of the predictions, see `BlochMatrices`.
        grid: three ints. Sizes of the Γ-centered grid. Defaults to 15 Å over
            the height of each cell, rounded up to an odd number, 1 along
            vacuum.

    Attributes:
        skipped: dict from the name of a structure to the reason.
    """

    def __init__(
        self,
        names=("model",),
        window=3.0,
        tolerance=DEGENERACY_IN_EV,
        grid=None,
        overlap_threshold=None,
    ):
        self.names = tuple(names)
        self.window = float(window)
        self.tolerance = tolerance
        self.grid = grid
        self.overlap_threshold = overlap_threshold
        self.skipped = {}
        self._structures = {name: [] for name in self.names}
        self._bins = {name: {} for name in self.names}

    def update(self, predicted, calculation):
        """Adds a structure.

        Args:
            predicted: dict from each of `names` to a Hermitian `BlockMatrix`.
            calculation: `Calculation` with Hamiltonian, overlap, and Fermi
                level or number of electrons. Structures without these or with
                more than 2000 orbitals are listed in `skipped`.
        """
        crystal = ElectronicStructure(calculation)
        reason = obstacle(crystal)
        if reason is not None:
            self.skipped[calculation.name] = reason
            return
        reference, level = crystal.matrices, crystal.fermi_level
        grid = self.grid or k_grid(calculation.atoms, GRID_LENGTH_IN_ANGSTROM)
        k_points, weights = k_grid_points(reference, grid, gamma_centered=True)
        exact = [lowest_states(reference, k) for k in k_points]
        common = {
            "name": calculation.name,
            "grid": [int(n) for n in grid],
            "num_k_points": len(k_points),
            "fermi_level": level,
        }
        for name in self.names:
            matrices = BlochMatrices(
                predicted[name],
                calculation.overlap,
                calculation.num_orbitals,
                self.overlap_threshold,
            )
            table = [
                self._levels(states, matrices, level, weight)
                for states, weight in zip(exact, weights)
            ]
            table = np.concatenate(table, axis=1)
            self._structures[name].append({**common, **self._entry(table)})
            self._add_bins(name, table)

    def merge(self, other):
        """Adds the errors of other structures, in their order."""
        self.skipped.update(other.skipped)
        for name in self.names:
            self._structures[name] += other._structures[name]
            bins = self._bins[name]
            for number, sums in other._bins[name].items():
                bins[number] = bins.get(number, 0.0) + sums

    def result(self, name="model"):
        """Errors of one prediction, in eV, as JSON values.

        Args:
            name: str. One of `names`.

        Returns:
            `None` if every structure was skipped, else a dict of

            - `unit`: `"eV"`; `window` about the Fermi level;
              `degeneracy_tolerance`.
            - `occupied_mae`, `window_mae`: means over structures of the mean
              absolute error of the occupied levels, and of all levels in the
              window, with the weights of the wave vectors;
              `gauge_free_window_mae`: after the best shift of the energy zero
              of each structure.
            - `similarity`: the same mean of the similarity of wave functions
              over occupied levels, between 0 and 1.
            - `lowest_similarity` of any occupied level.
            - `shared`: fraction of the occupied levels that are nearly
              degenerate with others.
            - `structures`: the same for each, with `name`, `grid`,
              `num_k_points`, `fermi_level`, `occupied_shift` (mean signed
              error) and `occupied_largest`.
            - `energy_bins`: dicts of `from` and `to` (eV from the Fermi
              level), `mae`, `similarity` and `levels` (a weighted number).
            - `skipped`: dict from structure to reason.
        """
        structures = self._structures[name]
        if not structures:
            return None

        def over_structures(key, reduce=np.mean):
            values = [entry[key] for entry in structures]
            values = [value for value in values if value is not None]
            return float(reduce(values)) if values else None

        keys = ("occupied_mae", "window_mae", "gauge_free_window_mae")
        keys += ("similarity", "shared")
        return {
            "unit": "eV",
            "window": [-self.window, self.window],
            "degeneracy_tolerance": self.tolerance,
            **{key: over_structures(key) for key in keys},
            "lowest_similarity": over_structures("lowest_similarity", np.min),
            "structures": structures,
            "energy_bins": [
                {
                    "from": number * BIN_IN_EV,
                    "to": (number + 1) * BIN_IN_EV,
                    "mae": float(error / weight),
                    "similarity": float(similarity / weight),
                    "levels": float(weight),
                }
                for number, (weight, error, similarity) in sorted(
                    self._bins[name].items()
                )
            ],
            "skipped": dict(self.skipped),
        }

    def _levels(self, exact, matrices, level, weight):
        """Weight, energy, error, similarity, shared of each level."""
        found = lowest_states(matrices, exact.k_point)
        groups = near_degenerate_groups(exact.energies, self.tolerance)
        return np.stack(
            [
                np.full(len(groups), weight),
                exact.energies - level,
                found.energies - exact.energies,
                level_similarities(
                    found.coefficients,
                    exact.coefficients,
                    matrices.overlap_at(exact.k_point),
                    exact.energies,
                    self.tolerance,
                ),
                np.bincount(groups)[groups] > 1,
            ]
        )

    def _entry(self, table):
        weight, energy, error, similarity, shared = table
        occupied, near = energy <= 0, np.abs(energy) <= self.window

        def mean(values, chosen):
            if not chosen.any():
                return None
            return float(np.average(values[chosen], weights=weight[chosen]))

        has = occupied.any()
        shift = _median(error[near], weight[near]) if near.any() else 0.0
        return {
            "occupied_mae": mean(np.abs(error), occupied),
            "occupied_shift": mean(error, occupied),
            "occupied_largest": (
                float(np.abs(error[occupied]).max()) if has else None
            ),
            "window_mae": mean(np.abs(error), near),
            "gauge_free_window_mae": mean(np.abs(error - shift), near),
            "similarity": mean(similarity, occupied),
            "lowest_similarity": (
                float(similarity[occupied].min()) if has else None
            ),
            "shared": mean(shared, occupied),
        }

    def _add_bins(self, name, table):
        weight, energy, error, similarity, _ = table
        shown = (energy <= self.window).nonzero()[0]
        numbers = np.floor(energy / BIN_IN_EV).astype(int)
        for n in shown:
            sums = self._bins[name].setdefault(int(numbers[n]), np.zeros(3))
            sums += weight[n] * np.array([1.0, abs(error[n]), similarity[n]])


def _median(values, weights):
    """The number with the least weighted sum of absolute differences."""
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return values[order][np.searchsorted(below, below[-1] / 2)]


def obstacle(crystal):
    """Why levels of an `ElectronicStructure` cannot be compared, or `None`."""
    if crystal.overlap is None:
        return "no overlap: neither the calculation nor the model has one"
    if not crystal.has_fermi_level:
        return "neither Fermi level nor number of electrons is known"
    if crystal.size > LARGEST_SIZE:
        return f"{crystal.size} orbitals, more than {LARGEST_SIZE}"
    return None
