"""Band energies from H(k) and S(k)."""

import dataclasses

import numpy as np

from keras_hamiltonian.messages import counted
from keras_hamiltonian.physics.gap import gap_of_bands
from keras_hamiltonian.physics.k_points import KPath
from keras_hamiltonian.physics.k_points import solve_k_points
from keras_hamiltonian.physics.number_files import read_fields
from keras_hamiltonian.physics.number_files import read_value
from keras_hamiltonian.physics.number_files import write_fields
from keras_hamiltonian.physics.states import lowest_states


@dataclasses.dataclass
class BandStructure:
    """Band energies along a path.

    Attributes:
        path: `KPath`.
        energies: `(num_k, num_bands)` array in eV, ascending; NaN where a
            wave vector has fewer bands than others.
        fermi_level: float in eV, or `None`.
        errors: array shaped as `energies`, or `None`: expected errors of the
            levels of a prediction, eV.
    """

    path: KPath
    energies: np.ndarray
    fermi_level: float | None = None
    errors: np.ndarray | None = None

    def __repr__(self):
        level = self.fermi_level
        words = "unknown" if level is None else f"{level:.3f} eV"
        return (
            f"BandStructure({self.energies.shape[1]} bands, {self.path}, "
            f"Fermi level {words})"
        )

    @property
    def k_points(self):
        """`(num_k, 3)` array of fractional wave vectors."""
        return self.path.k_points

    @property
    def distances(self):
        """`(num_k,)` array: length of the path so far, in 1/Å."""
        return self.path.distances

    @property
    def labels(self):
        """List of `(position in k_points, name)`."""
        return self.path.labels

    def gap(self):
        """The band gap along the path, in eV; 0 if bands cross the level.

        Raises:
            ValueError: if the Fermi level is unknown or no band lies on one of
                its sides.
        """
        if self.fermi_level is None:
            raise ValueError(
                "A gap needs the Fermi level; set `fermi_level`, for example "
                "from `find_fermi_level`."
            )
        return gap_of_bands(
            self.k_points, self.energies, fermi_level=self.fermi_level
        ).gap

    def save(self, path, warnings=()):
        """Writes the bands to a file: JSON text, or `.npz` by its suffix.

        Args:
            path: str or path.
            warnings: list of dicts, those of a prediction, kept in the file.
        """
        fields = {
            "k_points": self.k_points,
            "distances": self.distances,
            "energies": self.energies,
            "labels": self.labels,
            "fermi_level": self.fermi_level,
            "units": "energies eV, distances 1/Å, k_points fractional",
        }
        if self.errors is not None:
            fields["errors"] = self.errors
        if warnings:
            fields["warnings"] = list(warnings)
        write_fields(path, fields)

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote."""
        fields = read_fields(path)
        labels = [(n, name) for n, name in read_value(fields["labels"])]
        return cls(
            KPath(
                np.array(fields["k_points"]),
                np.array(fields["distances"]),
                labels,
            ),
            np.array(fields["energies"], dtype=np.float64),
            read_value(fields["fermi_level"]),
            np.array(fields["errors"], float) if "errors" in fields else None,
        )


def band_structure(
    matrices, path, fermi_level=None, level_errors=None, **options
):
    """Band energies along a path.

    Args:
        matrices: `BlochMatrices`.
        path: `KPath`, from `k_path`.
        fermi_level: float in eV, or `None`.
        level_errors: function from `States` with coefficients to the expected
            error of each, eV, such as `ExpectedErrors.of_levels`. Wave vectors
            are then solved one after the other.
        **options: of `solve_bands`.

    Returns:
        `BandStructure`.

    Example:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> from keras_hamiltonian.physics.hamiltonian import BlochMatrices
    >>> dimers = BlockMatrix.from_blocks(
    ...     [(0, 0, 0, 0, 1), (0, 0, 0, 1, 0)], [-np.eye(1), -np.eye(1)]
    ... )
    >>> matrices = BlochMatrices(dimers, None, [1, 1])
    >>> path = KPath.from_points([[0, 0, 0], [0.5, 0, 0]], np.eye(3))
    >>> band_structure(matrices, path, fermi_level=0.0).gap()
    2.0
    """
    if level_errors is None:
        energies = solve_bands(matrices, path.k_points, **options)
        return BandStructure(path, energies, fermi_level)
    options.pop("workers", None)
    solve = options.pop("solve", lowest_states)
    solved = []
    for k_point in counted(path.k_points, "bands", "wave vectors"):
        states = solve(matrices, k_point, **options)
        errors = level_errors(states)
        # Coefficients of all wave vectors would fill the memory.
        solved.append((dataclasses.replace(states, coefficients=None), errors))
    columns = _columns([states for states, _ in solved])
    return BandStructure(
        path,
        _table(columns, [states.energies for states, _ in solved]),
        fermi_level,
        _table(columns, [errors for _, errors in solved]),
    )


def solve_bands(matrices, k_points, solve=lowest_states, workers=1, **options):
    """Energies of `H(k) c = E S(k) c` at each wave vector.

    Args:
        matrices: `BlochMatrices`.
        k_points: `(num_k, 3)` array, fractional.
        solve: function. Which bands: `lowest_states` (all, or `num_states` of
            them), `nearest_states` (the `num_states` nearest to an `energy`)
            or `states_in_window` (those in a `window` of energies).
        workers: int. Processes, see `solve_k_points`.
        **options: of `solve`.

    Returns:
        `(num_k, num_bands)` array in eV, ascending, with one band in each
        column, as far as the solver counts the bands below; NaN where a wave
        vector does not have it.

    Raises:
        ValueError: if S(k) is not positive definite, or the cell is too large
            for all bands.
    """
    solved = solve_k_points(
        solve, matrices, k_points, workers, coefficients=False, **options
    )
    return _table(_columns(solved), [states.energies for states in solved])


def _columns(solved):
    """Column of the first level of each wave vector."""
    starts = np.zeros(len(solved), dtype=int)
    if all(states.first is not None for states in solved):
        starts += [states.first for states in solved]
        starts -= starts.min()
    return starts


def _table(starts, rows):
    """Rows from their columns on, NaN elsewhere."""
    counts = [len(row) for row in rows]
    table = np.full((len(rows), (starts + counts).max(initial=0)), np.nan)
    for place, start, row in zip(table, starts, rows):
        place[start : start + len(row)] = row
    return table
