"""A map of local environments: which are similar, and which are new."""

import dataclasses

import numpy as np
from scipy.stats import spearmanr

from keras_hamiltonian.evaluation.report import predicted_blocks
from keras_hamiltonian.explain.inputs import as_calculation
from keras_hamiltonian.explain.inputs import inputs_of
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.models.first_stage import FirstStage
from keras_hamiltonian.orbitals.matrix_elements import element_pairs
from keras_hamiltonian.orbitals.matrix_elements import matrix_difference
from keras_hamiltonian.uncertainty.feature_distance import FeatureDistance

# Variation below this fraction of the features is rounding.
ROUNDING = 1e-4


@dataclasses.dataclass
class Environments:
    """Atoms of some structures on an `EnvironmentMap`.

    Attributes:
        structures: list of str. Structure of each atom, by name.
        atoms: `(N,)` ints. Number of the atom in its structure.
        symbols: `(N,)` array of str. Its element.
        points: `(N, 2)`. Its place on the map of its element.
        novelty: `(N,)`. Distance from the atoms of the map in the features of
            all groups, about one for those atoms, see
            `kh.uncertainty.FeatureDistance`. Far above one, the model was
            trained on no similar environment.
        errors: `(N,)`. Mean absolute error of the blocks that start at the
            atom, in eV; NaN without a Hamiltonian.
    """

    structures: list
    atoms: np.ndarray
    symbols: np.ndarray
    points: np.ndarray
    novelty: np.ndarray
    errors: np.ndarray

    def __len__(self):
        return len(self.atoms)

    def worst(self, count=5):
        """The atoms with the largest errors.

        Args:
            count: int.

        Returns:
            List of dicts: `structure`, `atom` (`"C3"`), `error` (eV) and
            `novelty`; the largest error first. Empty without Hamiltonians.
        """
        known = np.flatnonzero(np.isfinite(self.errors))
        order = known[np.argsort(-self.errors[known], kind="stable")]
        return [
            {
                "structure": self.structures[k],
                "atom": f"{self.symbols[k]}{self.atoms[k]}",
                "error": float(self.errors[k]),
                "novelty": float(self.novelty[k]),
            }
            for k in order[:count]
        ]

    def rank_correlation(self):
        """Spearman's correlation of novelty and error, -1 to 1.

        Returns:
            float; NaN without Hamiltonians, or where all are equal.
        """
        known = np.isfinite(self.errors)
        values = self.novelty[known], self.errors[known]
        if known.sum() < 2 or any(np.ptp(v) == 0 for v in values):
            return float("nan")
        return float(spearmanr(*values).statistic)


class EnvironmentMap:
    """Principal axes of the environments that a model was trained on.

    The environment of an atom is given by its features in the first stage:
    scalars, and the norms of the features that rotate with the crystal, so
    that rotated crystals have equal environments. Every element has its own
    map.

    Args:
        model: `EquivariantStage`, or `HamiltonianCascade`, whose first stage
            is used.
        structures: iterable of `Calculation` or `ase.Atoms`: the training
            set.

    Attributes:
        explained: dict from element to the fractions of the variance along
            the axes, two floats.

    Raises:
        ValueError: if the model has no first stage, or all environments of an
            element are the same.

    Example:

    >>> known = (store[name] for name in split.train)      # doctest: +SKIP
    >>> environments = kh.explain.EnvironmentMap(model, known)
    ... # doctest: +SKIP
    >>> found = environments.place(store[name] for name in split.test)
    ... # doctest: +SKIP
    >>> found.worst(1)                                     # doctest: +SKIP
    [{'structure': '051', 'atom': 'C2', 'error': 0.0012, 'novelty': 2.3}]
    """

    def __init__(self, model, structures):
        self.model = model
        self._features = _feature_model(model)
        self._axes = {}
        gathered, known = {}, []
        for calculation in self._calculations(structures):
            symbols = np.array(calculation.atoms.get_chemical_symbols())
            features, groups = self._environments(calculation)
            known.append((symbols, groups))
            for symbol in np.unique(symbols):
                chosen = features[symbols == symbol]
                gathered.setdefault(str(symbol), []).append(chosen)
        if not gathered:
            raise ValueError("A map needs at least one structure.")
        for symbol, pieces in sorted(gathered.items()):
            self._axes[symbol] = _Axes(np.concatenate(pieces), symbol)
        irreps = self._features[0].feature_irreps
        self._distance = FeatureDistance.fit(irreps, known)

    @property
    def symbols(self):
        """Elements that have a map: list of str."""
        return list(self._axes)

    @property
    def explained(self):
        """Dict from element to the fractions of variance along both axes."""
        return {symbol: axes.explained for symbol, axes in self._axes.items()}

    def known(self, symbol):
        """Points of the training atoms on the map: `(N, 2)`."""
        axes = self._axes[symbol]
        return axes.project(axes.features)

    def place(self, structures):
        """Places atoms on the map.

        Args:
            structures: iterable of `Calculation` or `ase.Atoms`. Those with a
                Hamiltonian give the errors of the model.

        Returns:
            `Environments`.

        Raises:
            ValueError: for an element without a map, or without structures.
        """
        found = []
        for calculation in self._calculations(structures):
            symbols = np.array(calculation.atoms.get_chemical_symbols())
            missing = sorted(set(symbols) - set(self._axes))
            if missing:
                raise ValueError(
                    f"The map is of {', '.join(self._axes)}. Received: "
                    f"{', '.join(missing)} in {calculation.name!r}. Make the "
                    "map of structures with these elements."
                )
            features, groups = self._environments(calculation)
            points = np.empty((len(symbols), 2))
            novelty = self._distance(symbols, groups)
            for symbol, axes in self._axes.items():
                chosen = symbols == symbol
                points[chosen] = axes.project(features[chosen])
            errors = np.full(len(symbols), np.nan)
            if calculation.hamiltonian is not None:
                errors = atom_errors(self.model, calculation)
            names = [calculation.name] * len(symbols)
            numbers = np.arange(len(symbols))
            found.append((names, numbers, symbols, points, novelty, errors))
        if not found:
            raise ValueError("There is no structure to place on the map.")
        names, *arrays = zip(*found)
        return Environments(
            [name for group in names for name in group],
            *map(np.concatenate, arrays),
        )

    def _calculations(self, structures):
        for number, structure in enumerate(structures):
            yield as_calculation(structure, self.model, str(number))

    def _environments(self, calculation):
        """Invariants of the last features; and the features of all groups."""
        inputs = inputs_of(calculation, self.model)
        stage, features = self._features
        found = features.predict_on_batch(inputs)
        groups = [
            np.asarray(found[f"atoms_{k}"])[inputs["species"] >= 0]
            for k in range(1, len(stage.feature_irreps) + 1)
        ]
        last = groups[-1].astype(np.float64)
        return invariants(last, stage.feature_irreps[-1]), groups


def invariants(features, irreps):
    """Invariants of features: scalars, and norms of all other features.

    Args:
        features: `(N, irreps.dim)`, `ir_mul` layout.
        irreps: `Irreps` or str.

    Returns:
        `(N, irreps.num_irreps)`.

    Example:

    >>> invariants(np.array([[-2.0, 3.0, 0.0, 4.0]]), "1x0e + 1x1o").tolist()
    [[-2.0, 5.0]]
    """
    irreps = Irreps(irreps)
    found = []
    for (mul, irrep), where in zip(irreps, irreps.slices()):
        x = features[:, where]
        if str(irrep) != "0e":
            x = x.reshape(len(x), irrep.dim, mul)
            x = np.sqrt((x * x).sum(axis=1))
        found.append(x)
    return np.concatenate(found, axis=1)


def atom_errors(model, calculation):
    """Mean absolute error of the blocks of each atom.

    Args:
        model: `Stage`.
        calculation: `Calculation` with a Hamiltonian.

    Returns:
        `(num_atoms,)` in eV: the mean over all elements of the blocks that
        start at the atom, with its onsite block.
    """
    reference = calculation.hamiltonian
    predicted = predicted_blocks(model, calculation)
    errors = np.abs(matrix_difference(predicted, reference))
    atom = reference.atom_pairs[:, 3][element_pairs(reference)]
    size = len(calculation.atoms)
    counts = np.bincount(atom, minlength=size)
    return np.bincount(atom, errors, size) / np.maximum(counts, 1)


class _Axes:
    """Principal axes of one element's environments, `(N, features)`."""

    def __init__(self, features, symbol):
        self.features = features
        self.mean = features.mean(axis=0)
        centered = features - self.mean
        spread = np.sqrt((centered**2).sum(axis=1).mean())
        if spread <= ROUNDING * np.linalg.norm(self.mean):
            raise ValueError(
                f"All {len(features)} environments of {symbol} are the same, "
                "so they have no principal axes. Make the map of structures "
                "whose atoms are displaced."
            )
        _, sizes, axes = np.linalg.svd(centered, full_matrices=False)
        self.explained = tuple((sizes**2 / (sizes**2).sum())[:2].tolist())
        # A sign is free: the largest number of each axis is positive.
        largest = np.abs(axes).argmax(axis=1)
        signs = np.sign(axes[np.arange(len(axes)), largest])
        self.axes = (axes * signs[:, None])[:2]

    def project(self, features):
        return (features - self.mean) @ self.axes.T


def _feature_model(model):
    """The first stage and the model of its features."""
    first, *second = model.stages()
    if not isinstance(first, FirstStage):
        raise ValueError(
            "Environments are features of a first stage. Received: a "
            f"{type(model).__name__}. Give a `FirstStage` or a "
            "`HamiltonianCascade`."
        )
    return first, model.feature_model if second else first.feature_model()
