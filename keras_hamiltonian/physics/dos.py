"""Density of states, whole, by element and shell, and of single orbitals."""

import dataclasses
import itertools

import numpy as np
from scipy.special import ndtr

from keras_hamiltonian.physics.fermi import k_grid_points
from keras_hamiltonian.physics.hamiltonian import LARGEST_DENSE
from keras_hamiltonian.physics.k_points import monkhorst_pack
from keras_hamiltonian.physics.k_points import solve_k_points
from keras_hamiltonian.physics.kernel_polynomial import orbital_densities
from keras_hamiltonian.physics.kernel_polynomial import random_densities
from keras_hamiltonian.physics.number_files import read_fields
from keras_hamiltonian.physics.number_files import read_value
from keras_hamiltonian.physics.number_files import write_fields
from keras_hamiltonian.physics.populations import mulliken_populations
from keras_hamiltonian.physics.states import lowest_states
from keras_hamiltonian.physics.states import states_in_window

METHODS = ("gaussian", "tetrahedron", "kpm")
# A Gaussian ends after this many widths, and has this many points in one.
WIDTHS = 5.0
POINTS_PER_WIDTH = 4
# Random vectors of the kernel polynomial method.
NUM_VECTORS = 12
# Energies of a simplex are kept at least this far apart, in eV.
SMALLEST_STEP = 1e-7


@dataclasses.dataclass
class DensityOfStates:
    """Density of states, in electrons per eV and cell.

    Attributes:
        energies: `(num_energies,)` array in eV, ascending.
        total: `(num_energies,)` array; both spins together.
        projections: dict from names to `(num_energies,)` arrays.
        below: float. Electrons that states below `energies[0]` hold.
        fermi_level: float in eV, or `None`.
        errors: `(num_energies,)` array. Standard errors of `total`, where
            random vectors gave it, or `None`.
        projection_errors: dict from names to `(num_energies,)` arrays.
            Standard errors of `projections`, empty where they are exact. The
            values scatter about the true ones, and may be negative.
    """

    energies: np.ndarray
    total: np.ndarray
    projections: dict = dataclasses.field(default_factory=dict)
    below: float = 0.0
    fermi_level: float | None = None
    errors: np.ndarray | None = None
    projection_errors: dict = dataclasses.field(default_factory=dict)

    def __repr__(self):
        shown = ", ".join(self.projections)
        return (
            f"DensityOfStates({len(self.energies)} energies from "
            f"{self.energies[0]:.2f} to {self.energies[-1]:.2f} eV"
            f"{shown and f', of {shown}'})"
        )

    def integrate(self, energy=None, name=None):
        """Electrons that states up to an energy hold.

        Args:
            energy: float, in eV. Defaults to the Fermi level.
            name: str. A projection; its states below `energies[0]` are not
                counted. Defaults to the whole density.

        Raises:
            ValueError: if the energy is not known or lies outside.
        """
        energy = self.fermi_level if energy is None else energy
        if energy is None:
            raise ValueError("Without a Fermi level, give `energy`.")
        if not self.energies[0] <= energy <= self.energies[-1]:
            raise ValueError(
                f"The density is known from {self.energies[0]:.3f} to "
                f"{self.energies[-1]:.3f} eV. Received: energy={energy}."
            )
        density = self.total if name is None else self.projections[name]
        inside = self.energies < energy
        x = np.append(self.energies[inside], energy)
        y = np.append(
            density[inside], np.interp(energy, self.energies, density)
        )
        return float(np.trapezoid(y, x)) + (self.below if name is None else 0.0)

    def energy_of(self, num_electrons):
        """The energy up to which states hold a number of electrons.

        Of a density with errors it is as exact as the number of electrons: in
        a gap it may lie anywhere, and beside it.

        Args:
            num_electrons: float, of the cell.

        Returns:
            float in eV; `None` where it lies outside `energies`.
        """
        parts = np.diff(self.energies) * (self.total[1:] + self.total[:-1]) / 2
        counts = self.below + np.concatenate([[0.0], np.cumsum(parts)])
        if not counts[0] <= num_electrons <= counts[-1]:
            return None
        return float(np.interp(num_electrons, counts, self.energies))

    def save(self, path, warnings=()):
        """Writes the density to a file: JSON text, or `.npz` by its suffix.

        Args:
            path: str or path.
            warnings: list of dicts, those of a prediction, kept in the file.
        """
        fields = {
            "energies": self.energies,
            "total": self.total,
            "names": list(self.projections),
            "projections": self._table(self.projections),
            "below": self.below,
            "fermi_level": self.fermi_level,
            "units": "energies eV, densities electrons per eV and cell",
        }
        if self.errors is not None:
            fields["errors"] = self.errors
        if self.projection_errors:
            fields["projection_errors"] = self._table(self.projection_errors)
        if warnings:
            fields["warnings"] = list(warnings)
        write_fields(path, fields)

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote."""
        fields = read_fields(path)
        names = read_value(fields["names"])
        # Empty in files of older versions.
        errors = np.array(fields.get("errors", []))
        return cls(
            np.array(fields["energies"]),
            np.array(fields["total"]),
            dict(zip(names, np.array(fields["projections"]))),
            read_value(fields["below"]),
            read_value(fields["fermi_level"]),
            errors if len(errors) else None,
            dict(zip(names, np.array(fields.get("projection_errors", [])))),
        )

    def _table(self, named):
        """Rows `(num_names, num_energies)` of a dict in the order of names."""
        rows = [named[name] for name in self.projections]
        return np.reshape(rows, (-1, len(self.energies)))


def density_of_states(
    matrices,
    grid,
    energies=None,
    broadening=0.1,
    method="gaussian",
    groups=None,
    fermi_level=None,
    workers=1,
    num_vectors=NUM_VECTORS,
):
    """Density of states of a crystal.

    Args:
        matrices: `BlochMatrices`.
        grid: three ints. Sizes of a grid of wave vectors about Γ; 1 along
            vacuum.
        energies: `(num_energies,)` array in eV, ascending. Defaults to all
            bands; cells too large for dense matrices need it, and only the
            states near these energies are solved.
        broadening: float. Standard deviation of the Gaussians, in eV.
        method: str. `"gaussian"`, or `"tetrahedron"`: bands are linear between
            the points of the grid, in triangles for a layer, and nothing is
            broadened. `"kpm"`, for cells of any size: Chebyshev moments of
            random vectors, see `KernelPolynomial`; the broadening is that at
            the middle of `energies`, which have to be given.
        groups: dict from names to int arrays of rows, see `orbital_groups`:
            projections by Mulliken populations. Defaults to none.
        fermi_level: float in eV, kept with the result.
        workers: int. Processes, see `solve_k_points`.
        num_vectors: int, 2 or more. Random vectors of `"kpm"` at each wave
            vector; errors fall with its root.

    Returns:
        `DensityOfStates`.

    Raises:
        ValueError: for an unknown method, a broadening that is not positive,
            or a large cell without `energies`.

    Example:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> from keras_hamiltonian.physics.hamiltonian import BlochMatrices
    >>> level = BlockMatrix.from_blocks([(0, 0, 0, 0, 0)], [np.eye(1)])
    >>> dos = density_of_states(BlochMatrices(level, None, [1]), (1, 1, 1))
    >>> round(dos.integrate(2.0 - 0.6), 3), round(float(dos.total.max()), 3)
    (2.0, 7.979)
    """
    _check_options(matrices, energies, broadening, method, num_vectors)
    groups = groups or {}
    degeneracy = 1 if matrices.spinful else 2
    if method == "kpm":
        energies, densities, below, errors = _by_moments(
            matrices, grid, energies, broadening, groups, workers, num_vectors
        )
        errors = degeneracy * errors
        known = errors[0], dict(zip(groups, errors[1:]))
    else:
        energies, densities, below = _by_levels(
            matrices, grid, energies, broadening, method, groups, workers
        )
        known = None, {}
    return DensityOfStates(
        energies,
        degeneracy * densities[0],
        dict(zip(groups, degeneracy * densities[1:])),
        float(degeneracy * below),
        fermi_level,
        *known,
    )


def local_density_of_states(
    matrices, grid, energies, groups, broadening=0.1, workers=1
):
    """Density of states of a few atoms or orbitals, in cells of any size.

    Chebyshev moments of each orbital, see `KernelPolynomial.local_moments`:
    without states and without random vectors. The sum over all orbitals is
    the whole density.

    Args:
        matrices: `BlochMatrices`.
        grid: three ints. See `density_of_states`.
        energies: `(num_energies,)` array in eV, ascending.
        groups: dict from names to int arrays of rows, see `orbital_groups`,
            or `{"atom 7": matrices.rows(7)}`.
        broadening: float. Standard deviation at the middle of the energies,
            in eV.
        workers: int. Processes, see `solve_k_points`.

    Returns:
        `DensityOfStates` of the groups alone: `total` is their sum, and
        `below` what their states below `energies[0]` hold.

    Raises:
        ValueError: if there is no group, or the broadening is not positive.
    """
    energies = np.asarray(energies, dtype=np.float64)
    _check_broadening(broadening)
    if not groups:
        raise ValueError("`groups` is empty; give atoms or orbitals.")
    weights, found = _densities_of_grid(
        orbital_densities, matrices, grid, energies, broadening, groups, workers
    )
    degeneracy = 1 if matrices.spinful else 2
    densities, below = (
        degeneracy * sum(w * f for w, f in zip(weights, part))
        for part in zip(*found)
    )
    return DensityOfStates(
        energies,
        densities.sum(axis=0),
        dict(zip(groups, densities)),
        float(below),
    )


def _check_broadening(broadening):
    if not broadening > 0:
        raise ValueError(
            f"`broadening` is positive, in eV. Received: {broadening}."
        )


def _check_options(matrices, energies, broadening, method, num_vectors):
    is_large = matrices.size > LARGEST_DENSE
    if method not in METHODS:
        raise ValueError(f"`method` is one of {METHODS}. Received: {method!r}.")
    _check_broadening(broadening)
    if energies is not None and method == "tetrahedron" and len(energies) < 2:
        raise ValueError(
            'method="tetrahedron" counts states between neighboring energies: '
            f"give two or more. Received: energies={energies}."
        )
    if method == "kpm" and (energies is None or num_vectors < 2):
        raise ValueError(
            'method="kpm" needs `energies`, in eV, and two or more random '
            "vectors for its errors. Received: "
            f"energies={energies}, num_vectors={num_vectors}."
        )
    if is_large and (energies is None or method == "tetrahedron"):
        raise ValueError(
            f"With {matrices.size} orbitals not all states can be solved: give "
            '`energies`, and method="kpm", or for few states "gaussian".'
        )


def _all_energies(solved, broadening):
    """Energies that hold all levels."""
    low = min(found[0][0] for found in solved) - WIDTHS * broadening
    high = max(found[0][-1] for found in solved) + WIDTHS * broadening
    number = int(np.ceil((high - low) / broadening * POINTS_PER_WIDTH)) + 1
    return np.linspace(low, high, number)


def _densities_of_grid(
    solve, matrices, grid, energies, broadening, groups, workers, **options
):
    """Weights of the wave vectors, and what moments tell at each."""
    k_points, weights = k_grid_points(matrices, grid, gamma_centered=True)
    found = solve_k_points(
        solve,
        matrices,
        k_points,
        workers,
        energies=energies,
        broadening=broadening,
        groups=list(groups.values()),
        **options,
    )
    return weights, found


def _by_moments(
    matrices, grid, energies, broadening, groups, workers, num_vectors
):
    """Energies, means of random vectors, the number below, standard errors."""
    energies = np.asarray(energies, dtype=np.float64)
    weights, found = _densities_of_grid(
        random_densities,
        matrices,
        grid,
        energies,
        broadening,
        groups,
        workers,
        num_vectors=num_vectors,
    )
    densities = sum(w * d.mean(axis=0) for w, (d, _) in zip(weights, found))
    variances = sum(
        w**2 * d.var(axis=0, ddof=1) / len(d)
        for w, (d, _) in zip(weights, found)
    )
    below = sum(w * b.mean() for w, (_, b) in zip(weights, found))
    return energies, densities, below, np.sqrt(variances)


def _by_levels(matrices, grid, energies, broadening, method, groups, workers):
    """Energies, densities, and the number of levels below."""
    if method == "tetrahedron":
        k_points = monkhorst_pack(grid, gamma_centered=True)
    else:
        k_points, weights = k_grid_points(matrices, grid, gamma_centered=True)
    window = None
    if matrices.size > LARGEST_DENSE:
        margin = WIDTHS * broadening
        window = (energies[0] - margin, energies[-1] + margin)
    solved = solve_k_points(
        _levels, matrices, k_points, workers, window=window, groups=groups
    )
    if energies is None:
        energies = _all_energies(solved, broadening)
    energies = np.asarray(energies, dtype=np.float64)
    if method == "tetrahedron":
        return energies, *_tetrahedron(energies, solved, grid)
    return energies, *_gaussian(energies, solved, weights, broadening)


def _levels(matrices, k_point, window, groups):
    """Energies, rows of weights (the first is 1), and the number below."""
    solve, options = lowest_states, {}
    if window is not None:
        solve, options = states_in_window, {"window": window}
    states = solve(matrices, k_point, coefficients=bool(groups), **options)
    rows = [np.ones(len(states.energies))]
    if groups:
        rows += mulliken_populations(states, matrices, groups).values()
    return states.energies, np.array(rows), states.first


def _gaussian(energies, solved, weights, broadening):
    densities, below = 0.0, 0.0
    for weight, (levels, shares, first) in zip(weights, solved):
        distances = (energies - levels[:, None]) / broadening
        shapes = np.exp(-(distances**2) / 2)
        shapes *= weight / (broadening * np.sqrt(2 * np.pi))
        densities = densities + shares @ shapes
        cut = ndtr((energies[0] - levels) / broadening).sum()
        below += weight * (first + cut)
    return densities, below


def _tetrahedron(energies, solved, grid):
    """Linear bands on the simplices of a grid, of any number of dimensions.

    The density is the mean between the middles of neighboring energies, so
    that no narrow band falls between them.
    """
    levels = np.array([found[0] for found in solved])
    shares = np.array([found[1] for found in solved])
    middles = (energies[1:] + energies[:-1]) / 2
    edges = np.concatenate(
        [
            [2 * energies[0] - middles[0]],
            middles,
            [2 * energies[-1] - middles[-1]],
        ]
    )
    corners = _simplices(grid)
    counts = np.zeros((shares.shape[1], len(edges)))
    below = 0.0
    for band in range(levels.shape[1]):
        values = np.sort(levels[corners, band], axis=1)
        values = values + SMALLEST_STEP * np.arange(values.shape[1])
        share = shares[corners, :, band].mean(axis=1)
        counts += share.T @ _part_below(values, edges) / len(corners)
        below += _part_below(values, energies[:1]).mean()
    return np.diff(counts, axis=1) / np.diff(edges), below


def _simplices(grid):
    """`(num_simplices, d + 1)` positions in a periodic grid of d dimensions."""
    grid = np.asarray(grid)
    numbers = np.arange(grid.prod()).reshape(grid)
    axes = np.flatnonzero(grid > 1)
    found = []
    for order in itertools.permutations(axes):
        corner = numbers
        path = [corner]
        for axis in order:
            corner = np.roll(corner, -1, axis=axis)
            path.append(corner)
        found.append(np.stack([c.ravel() for c in path], axis=1))
    if not len(axes):
        # A point: a line of length zero.
        return np.stack([numbers.ravel()] * 2, axis=1)
    return np.concatenate(found)


def _part_below(values, energies):
    """The part of each simplex in which a linear function is below energies.

    Blöchl, Jepsen and Andersen, Phys. Rev. B 49, 16223 (1994), for 3 D.

    Args:
        values: `(num, corners)` array. Values at the 2 to 4 corners, ascending.
        energies: `(num_energies,)` array.

    Returns:
        `(num, num_energies)` array.
    """
    first, *middle, last = values.T[:, :, None]
    width = last - first
    if not middle:
        return np.clip((energies - first) / width, 0, 1)
    degree = 1 + len(middle)
    start = np.clip(energies, first, middle[0]) - first
    end = last - np.clip(energies, middle[-1], last)
    if degree == 2:
        low = start**2 / ((middle[0] - first) * width)
        high = end**2 / ((last - middle[0]) * width)
        return np.where(energies < middle[0], low, 1 - high)
    second, third = middle
    low = start**3 / ((second - first) * (third - first) * width)
    high = end**3 / (width * (last - second) * (last - third))
    x = np.clip(energies, second, third) - second
    between = (second - first) ** 2 + 3 * (second - first) * x + 3 * x**2
    slope = (third - first + last - second) / (third - second)
    between -= slope * x**3 / (last - second)
    between /= (third - first) * width
    parts = np.where(energies < second, low, between)
    return np.where(energies < third, parts, 1 - high)
