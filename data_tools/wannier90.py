"""wannier90 `_hr.dat` files: a Hamiltonian in orthogonal orbitals.

The orbitals of a calculation overlap; programs that read `_hr.dat` assume that
theirs do not. Löwdin's orbitals, `S(k)^{-1/2}`, are the orthogonal ones nearest
to them. They reach farther than the orbitals they come from, so the file is
exact on the grid of wave vectors it was made on and interpolates between:
`WannierReport` says how well. The error falls exponentially with the grid, the
slower the smaller the eigenvalues of S(k): with two s, two p and a d shell per
atom, occupied bands of graphene are off by 0.7 eV on 12 x 12 points, 25 meV on
24 x 24 and 0.7 meV on 36 x 36.
"""

import dataclasses
import itertools
import pathlib
import warnings

import numpy as np

from data_tools.wannier90_input import check_win
from data_tools.wannier90_input import win_place
from data_tools.wannier90_input import write_win
from keras_hamiltonian.files import replacing
from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import monkhorst_pack
from keras_hamiltonian.physics.solvers.damped_problem import damped_problem

MAX_PROBES = 64
# Occupied bands that are off by more than this raise a warning.
WARNING_IN_EV = 1e-3


@dataclasses.dataclass(frozen=True)
class WannierReport:
    """How far the bands of an exported file are from those it came from.

    Attributes:
        num_orbitals: int. Rows of H(R), spin included.
        num_cells: int. Translations R in the file.
        num_dropped: int. Translations left out by `cutoff`.
        largest_dropped: float. Largest |H(R)| left out, in eV.
        dropped_bound: float. No band moves by more than this through what was
            left out, in eV: the sum of the norms.
        band_error: float. Largest error of any band at up to 64 points halfway
            between those of the grid, in eV, left-out cells included. At other
            points it may be a little larger.
        occupied_error: float. The same for bands up to the Fermi level; `None`
            if that is unknown.
        smallest_overlap: float. Smallest eigenvalue of S(k) on the grid; below
            1e-3 the highest empty bands follow rounding errors.
    """

    num_orbitals: int
    num_cells: int
    num_dropped: int
    largest_dropped: float
    dropped_bound: float
    band_error: float
    occupied_error: float | None
    smallest_overlap: float

    def __str__(self):
        occupied = (
            ""
            if self.occupied_error is None
            else f", up to the Fermi level {1e3 * self.occupied_error:.3g} meV"
        )
        return (
            f"{self.num_orbitals} orbitals, {self.num_cells} cells; "
            f"{self.num_dropped} cells left out, the largest number among "
            f"them {1e3 * self.largest_dropped:.3g} meV. Bands between the "
            f"points of the grid are off by up to "
            f"{1e3 * self.band_error:.3g} meV{occupied}."
        )


def export_wannier90(calculation, path, grid, cutoff=0.0):
    """Writes `_hr.dat` in Löwdin's orthogonal orbitals.

    The orbitals keep their order, atom by atom, shells outer, m = -l..l inner;
    with spin all up come first, then all down. Every line holds
    `R1 R2 R3 m n Re Im` of `<m in cell 0 | H | n in cell R>`, in eV with 12
    decimals (wannier90 itself writes 6); m runs fastest. Cells on the border
    of the grid's Wigner-Seitz cell are listed with their degeneracy. Atoms and
    orbitals go into a `.win` beside it, `graphene.win`.

    Args:
        calculation: `Calculation` with Hamiltonian and overlap.
        path: str or path, such as `graphene_hr.dat`.
        grid: three ints. Sizes of the Γ-centred Monkhorst-Pack grid; 1 along
            vacuum. Bands are exact there.
        cutoff: float. Cells whose largest number is below it are left out, in
            eV. Defaults to none.

    Returns:
        `WannierReport`. Warns if occupied bands are off by more than 1 meV.

    Raises:
        ValueError: if a matrix is missing, S(k) is not positive definite, the
            grid is not three positive numbers, or there is a `.win` already
            that this package did not write.

    Example:

    >>> report = export_wannier90(
    ...     calculation, "graphene_hr.dat", (9, 9, 1), cutoff=1e-5
    ... )  # doctest: +SKIP
    >>> print(report)  # doctest: +SKIP
    26 orbitals, 91 cells; 0 cells left out, ...
    """
    if not cutoff >= 0:
        raise ValueError(
            f"`cutoff` is an energy in eV, 0 or more. Received: {cutoff}."
        )
    path = pathlib.Path(path)
    check_win(win_place(path))
    matrices = BlochMatrices.from_calculation(calculation)
    k_points = monkhorst_pack(grid, gamma_centered=True)
    sizes = np.asarray(grid, dtype=int)
    order = _spin_outside(calculation)
    on_grid, smallest = _orthogonal(matrices, k_points, order)
    cells, degeneracies = wigner_seitz_cells(calculation.atoms.cell, sizes)
    in_cells = _in_cells(on_grid, k_points, sizes, cells)
    largest = np.abs(in_cells).max(axis=(1, 2))
    # A cell and its inverse, which is as far from the end of the sorted list,
    # are kept or left out together, in spite of rounding.
    largest = np.maximum(largest, largest[::-1])
    kept = (largest >= cutoff) | ~cells.any(axis=1)
    norms = np.linalg.norm(in_cells, ord=2, axis=(1, 2)) / degeneracies
    write_win(win_place(path), calculation)
    _write(path, cells[kept], degeneracies[kept], in_cells[kept], calculation)
    errors, occupied = _errors(
        matrices,
        sizes,
        (cells[kept], degeneracies[kept], in_cells[kept]),
        calculation.fermi_level,
    )
    report = WannierReport(
        num_orbitals=matrices.size,
        num_cells=int(kept.sum()),
        num_dropped=int((~kept).sum()),
        largest_dropped=float(largest[~kept].max(initial=0.0)),
        dropped_bound=float(norms[~kept].sum()),
        band_error=errors,
        occupied_error=occupied,
        smallest_overlap=smallest,
    )
    if (occupied or 0.0) > WARNING_IN_EV:
        warnings.warn(
            f"{path}: {report} Take a denser grid or a smaller cutoff.",
            stacklevel=2,
        )
    return report


def wigner_seitz_cells(lattice, sizes):
    """Translations nearest to the home cell, one set per grid of wave vectors.

    Args:
        lattice: `(3, 3)` array. Rows are the lattice vectors, in Å.
        sizes: three ints. Sizes of the grid.

    Returns:
        `(num_R, 3)` ints, and `(num_R,)` ints: how many of the translations
        that are the same on the grid are equally near.

    Example:

    >>> cells, degeneracies = wigner_seitz_cells(np.eye(3), (2, 1, 1))
    >>> cells.tolist(), degeneracies.tolist()
    ([[-1, 0, 0], [0, 0, 0], [1, 0, 0]], [2, 1, 2])
    """
    lattice, sizes = np.asarray(lattice), np.asarray(sizes)
    supercells = np.array(list(itertools.product(range(-2, 3), repeat=3)))
    cells, degeneracies = [], []
    for place in itertools.product(*map(range, sizes)):
        images = np.array(place) + supercells * sizes
        lengths = np.linalg.norm(images @ lattice, axis=1)
        nearest = images[lengths < lengths.min() + 1e-5]
        cells.extend(nearest)
        degeneracies.extend([len(nearest)] * len(nearest))
    order = np.lexsort(np.array(cells).T[::-1])
    return np.array(cells)[order], np.array(degeneracies)[order]


def _spin_outside(calculation):
    """Positions of the orbitals, all up before all down."""
    counts = calculation.num_orbitals
    if not calculation.is_spinful:
        return np.arange(counts.sum())
    starts = 2 * (np.cumsum(counts) - counts)
    up = [s + np.arange(n) for s, n in zip(starts, counts)]
    down = [s + n + np.arange(n) for s, n in zip(starts, counts)]
    return np.concatenate(up + down)


def _orthogonal(matrices, k_points, order):
    """`S^{-1/2} H S^{-1/2}` at each k, and the smallest eigenvalue of S.

    Without the combinations of orbitals that the matrices leave out.
    """
    found, smallest = [], np.inf
    for k_point in k_points:
        hamiltonian, overlap = matrices.dense_at(k_point)
        threshold = matrices.overlap_threshold or 0.0
        damped, norms, vectors = damped_problem(hamiltonian, overlap, threshold)
        smallest = min(smallest, float(norms[0]))
        if norms[0] <= 0 and not threshold:
            raise ValueError(
                f"S(k) at k = {np.round(k_point, 4).tolist()} is not positive "
                f"definite: its smallest eigenvalue is {norms[0]:.3e}. The "
                "overlap does not belong to this structure, lacks pairs or is "
                "rounded too coarsely."
            )
        orthogonal = vectors @ damped @ vectors.conj().T
        found.append(orthogonal[np.ix_(order, order)])
    return np.array(found), smallest


def _in_cells(on_grid, k_points, sizes, cells):
    """H(R) of the cells from H(k) on the grid: `(num_R, n, n)`."""
    # Position n of the transform is k = n / size.
    places = np.rint(k_points * sizes).astype(int) % sizes
    table = np.zeros((*sizes, *on_grid.shape[1:]), complex)
    table[tuple(places.T)] = on_grid
    table = np.fft.fftn(table, axes=(0, 1, 2)) / len(k_points)
    return table[tuple((cells % sizes).T)]


def _errors(matrices, sizes, file, fermi_level):
    """Largest error of all bands and of occupied ones, between the points."""
    halfway = np.where(sizes > 1, 0.5 / sizes, 0)
    probes = monkhorst_pack(sizes, gamma_centered=True) + halfway
    # Evenly spread: the grid may be large.
    count = min(MAX_PROBES, len(probes))
    probes = probes[np.linspace(0, len(probes) - 1, count).astype(int)]
    cells, degeneracies, in_cells = file
    expected = solve_bands(matrices, probes)
    found = []
    for k_point in probes:
        phases = np.exp(2j * np.pi * cells @ k_point) / degeneracies
        found.append(np.linalg.eigvalsh(np.tensordot(phases, in_cells, 1)))
    errors = np.abs(np.array(found) - expected)
    if fermi_level is None:
        return float(errors.max()), None
    return float(errors.max()), float(
        errors[expected <= fermi_level].max(initial=0.0)
    )


def _write(path, cells, degeneracies, in_cells, calculation):
    size = in_cells.shape[1]
    level = calculation.fermi_level
    title = (
        "keras_hamiltonian: Loewdin orbitals, "
        f"{'up then down, ' if calculation.is_spinful else ''}"
        f"{calculation.name or calculation.atoms.get_chemical_formula()}"
        f"{'' if level is None else f', Fermi level {level:.8f} eV'}"
    )
    n, m = np.divmod(np.arange(size * size), size)
    with replacing(path) as temporary:
        with open(temporary, "w") as file:
            print(title.replace("\n", " "), file=file)
            print(size, len(cells), sep="\n", file=file)
            for start in range(0, len(cells), 15):
                line = degeneracies[start : start + 15]
                print("".join(f"{count:5d}" for count in line), file=file)
            for cell, block in zip(cells, in_cells):
                numbers = block[m, n]
                rows = np.column_stack(
                    [np.tile(cell, (len(m), 1)), m + 1, n + 1]
                )
                np.savetxt(
                    file,
                    np.column_stack([rows, numbers.real, numbers.imag]),
                    fmt="%5d%5d%5d%6d%6d %19.12f %19.12f",
                )
