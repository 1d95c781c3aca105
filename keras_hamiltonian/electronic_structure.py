"""Hamiltonian and overlap of one crystal, and what follows from them."""

import dataclasses
import functools
import html
import pathlib
import warnings

from keras_hamiltonian.files import replacing
from keras_hamiltonian.memory import bytes_of
from keras_hamiltonian.physics.bands import band_structure
from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.dos import density_of_states
from keras_hamiltonian.physics.effective_mass import effective_mass
from keras_hamiltonian.physics.fermi import find_fermi_level
from keras_hamiltonian.physics.fermi import infer_electrons
from keras_hamiltonian.physics.fermi import k_grid_points
from keras_hamiltonian.physics.fermi import total_electrons
from keras_hamiltonian.physics.gap import find_gap
from keras_hamiltonian.physics.gap import gap_of_bands
from keras_hamiltonian.physics.hamiltonian import LARGEST_DENSE
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import KPath
from keras_hamiltonian.physics.k_points import k_grid
from keras_hamiltonian.physics.k_points import k_path
from keras_hamiltonian.physics.k_points import periodic_directions
from keras_hamiltonian.physics.occupations import occupations
from keras_hamiltonian.physics.populations import orbital_groups
from keras_hamiltonian.physics.states import lowest_states
from keras_hamiltonian.physics.states import nearest_states
from keras_hamiltonian.plots.bands import plot_bands
from keras_hamiltonian.plots.style import drawn

# The grid of a calculation is not known, and on another one the electrons of
# a metal are less exact.
ELECTRON_TOLERANCE = 0.2
# A notebook draws bands of so many orbitals at most, at so many wave vectors:
# three seconds.
LARGEST_DRAWN, NUM_DRAWN = 250, 60


class ElectronicStructure:
    """H and S of a crystal, computed or predicted, and what follows.

    Making one costs nothing, unless a model has to give the overlap. H(k) and
    Fermi level are found when first asked for, and kept.

    Args:
        calculation: `Calculation`.
        model: `Stage`, which gives what the calculation lacks: the overlap,
            and the number of electrons as far as the training set tells it.
            It does not predict the Hamiltonian; `kh.predict` does.
        num_electrons: float, valence electrons per cell; or a dict from each
            element to those of one atom, `{"C": 4}`. In place of the known
            number; the Fermi level is found anew.
        fermi_level: float, in eV, in place of the known one.
        workers: int. Processes for many wave vectors, see `solve_k_points`.
        max_memory: str such as `"4GB"`, or number of bytes. Limit of each of
            these processes where the cell is too large for dense matrices:
            what does not fit waits on the disk. Defaults to none.

    Attributes:
        calculation: `Calculation`, with what the model and the arguments give.
        workers: int.
        max_memory: the limit; may be set.

    Raises:
        ValueError: if the calculation does not fit the model, or the number of
            electrons is wrong.

    Example:

    >>> store = kh.HamiltonianStore("my_set.h5")        # doctest: +SKIP
    >>> crystal = kh.ElectronicStructure(store["050"])  # doctest: +SKIP
    >>> crystal.bands("GMKG").gap()                     # doctest: +SKIP
    0.0
    """

    def __init__(
        self,
        calculation,
        model=None,
        num_electrons=None,
        fermi_level=None,
        workers=1,
        max_memory=None,
    ):
        self.calculation = _completed(
            calculation, model, num_electrons, fermi_level
        )
        self.workers = workers
        self.max_memory = max_memory

    def __repr__(self):
        return (
            f"{type(self).__name__}({self.atoms.get_chemical_formula()}, "
            f"{self.size} orbitals, spin={self.spin!r})"
        )

    @property
    def atoms(self):
        """The `ase.Atoms`."""
        return self.calculation.atoms

    @property
    def basis(self):
        """The `OrbitalBasis`."""
        return self.calculation.basis

    @property
    def spin(self):
        """Spin layout, see `Calculation`."""
        return self.calculation.spin

    @property
    def size(self):
        """Rows of H(k): the orbitals of all atoms, spin included."""
        doubling = 2 if self.calculation.is_spinful else 1
        return doubling * int(self.calculation.num_orbitals.sum())

    @property
    def hamiltonian(self):
        """`BlockMatrix` in eV, or `None`."""
        return self.calculation.hamiltonian

    @property
    def overlap(self):
        """Spinless `BlockMatrix`, or `None`."""
        return self.calculation.overlap

    @property
    def max_memory(self):
        """Limit of memory, see above."""
        return self._max_memory

    @max_memory.setter
    def max_memory(self, limit):
        if limit is not None:
            bytes_of(limit)
        self._max_memory = limit
        if "matrices" in vars(self):
            self.matrices.max_memory = limit

    @functools.cached_property
    def matrices(self):
        """The `BlochMatrices` H(k) and S(k).

        Raises:
            ValueError: if a matrix is missing.
        """
        return BlochMatrices.from_calculation(self.calculation, self.max_memory)

    @functools.cached_property
    def num_electrons(self):
        """Valence electrons per cell, or `None`.

        Where only the Fermi level is known, as in DeepH folders, the bands are
        filled up to it on a grid of `k_grid(atoms)` points; `None` if that
        gives no whole number.
        """
        calculation = self.calculation
        is_open = calculation.num_electrons is None and self._has_matrices
        if not is_open or calculation.fermi_level is None:
            return calculation.num_electrons
        try:
            return infer_electrons(
                calculation, k_grid(self.atoms), tolerance=ELECTRON_TOLERANCE
            )
        except ValueError:
            return None

    @property
    def has_fermi_level(self):
        """Whether the Fermi level is known, or follows from the electrons."""
        if self.calculation.fermi_level is not None:
            return True
        return self.calculation.num_electrons is not None and self._has_matrices

    @functools.cached_property
    def fermi_level(self):
        """Fermi level in eV; `None`, with a warning, if nothing tells it.

        Where it is not known it is that of the electrons at 300 K, on a grid
        of `k_grid(atoms)` points. That takes a diagonalisation at each
        (several sparse factorizations in a cell of more than 8000 orbitals).
        """
        calculation = self.calculation
        if calculation.fermi_level is not None:
            return float(calculation.fermi_level)
        if calculation.num_electrons is None:
            warnings.warn(
                "The Fermi level is unknown: neither the calculation nor a "
                "model's training set tells how many valence electrons "
                f"{self.atoms.get_chemical_formula()} has. Give "
                "`num_electrons`.",
                stacklevel=3,
            )
            return None
        return find_fermi_level(
            self.matrices,
            calculation.num_electrons,
            k_grid(self.atoms),
            gamma_centered=True,
            workers=self.workers,
        )

    def bands(self, path=None, num_points=120, **options):
        """Band energies along a path.

        Args:
            path: str or list, see `k_path`, or a `KPath`. Defaults to the
                standard path of the lattice.
            num_points: int. Number of wave vectors, about.
            **options: of `solve_bands`, for example `workers`, or for a part
                of the bands of a large cell `solve=nearest_states` with its
                `energy` and `num_states`.

        Returns:
            `BandStructure`, with the Fermi level where it is known.

        Raises:
            ValueError: if a matrix is missing, or the path is unknown.
        """
        if not isinstance(path, KPath):
            path = k_path(self.atoms, path, num_points)
        options = {"workers": self.workers, **options}
        return band_structure(self.matrices, path, self.fermi_level, **options)

    def dos(self, grid=None, projected=True, **options):
        """Density of states, whole and by element and shell.

        Args:
            grid: three ints. Wave vectors along each direction. Defaults to
                `k_grid(atoms)`, which is coarse for a small cell.
            projected: bool. Whether to project on elements and shells.
            **options: of `density_of_states`, for example `broadening`,
                `method="tetrahedron"`, and for large cells `energies` with
                `method="kpm"` and `num_vectors`.

        Returns:
            `DensityOfStates`, with the Fermi level where it is known. With
            `"kpm"`, and more than 8000 orbitals, one that is not known yet is
            where the density has filled up, within its statistical error.

        Raises:
            ValueError: if a matrix is missing, or the options clash.
        """
        is_open = (
            options.get("method") == "kpm"
            and self.size > LARGEST_DENSE
            and self.calculation.fermi_level is None
            and "fermi_level" not in vars(self)
        )
        found = density_of_states(
            self.matrices,
            k_grid(self.atoms) if grid is None else grid,
            groups=orbital_groups(self.calculation) if projected else None,
            fermi_level=None if is_open else self.fermi_level,
            **{"workers": self.workers, **options},
        )
        if is_open and self.calculation.num_electrons is not None:
            found.fermi_level = found.energy_of(self.calculation.num_electrons)
        return found

    def gap(self, grid=None):
        """Band gap on a grid of wave vectors, which all bands are solved at.

        Args:
            grid: three ints. See `dos`.

        Returns:
            `BandGap`. Where the edges lie between the points of the grid the
            gap is smaller; `find_gap` moves them there.

        Raises:
            ValueError: if a matrix or the Fermi level is missing, or the cell
                is too large for all bands.
        """
        grid = k_grid(self.atoms) if grid is None else grid
        k_points, _ = k_grid_points(self.matrices, grid, gamma_centered=True)
        energies = solve_bands(self.matrices, k_points, workers=self.workers)
        return gap_of_bands(k_points, energies, fermi_level=self.fermi_level)

    def states(self, k_point, num_states=None, energy=None, **options):
        """Eigenstates at one wave vector.

        Args:
            k_point: three floats, fractional.
            num_states: int. How many, those nearest to an energy. Defaults to
                all, which takes dense matrices.
            energy: float, in eV. Defaults to the Fermi level.
            **options: of `lowest_states` or, with a number, of
                `nearest_states`, for example `solver`.

        Returns:
            `States`.

        Raises:
            ValueError: if a matrix or the Fermi level is missing, or the cell
                is too large for all states.
        """
        if num_states is None:
            return lowest_states(self.matrices, k_point, **options)
        energy = self.fermi_level if energy is None else energy
        if energy is None:
            raise ValueError(
                f"{num_states} states are those nearest to an energy. Give "
                "`energy`; the Fermi level is not known."
            )
        return nearest_states(
            self.matrices, k_point, energy, num_states, **options
        )

    def effective_mass(self, edge="valence", grid=None):
        """Effective mass at an edge of the gap.

        Args:
            edge: str. `"valence"` or `"conduction"`.
            grid: three ints. Where the search for the edge begins, see `dos`.

        Returns:
            `EffectiveMass`. Of other bands and wave vectors:
            `kh.physics.effective_mass(crystal.matrices, ...)`.

        Raises:
            ValueError: where bands touch, as in a semimetal, electrons fill
                half a band or are unknown, or the matrices leave combinations
                of orbitals out.
        """
        if edge not in ("valence", "conduction"):
            raise ValueError(
                f'`edge` is "valence" or "conduction". Received: {edge!r}.'
            )
        if self.num_electrons is None:
            raise ValueError("Give `num_electrons`, which tell the edges.")
        grid = k_grid(self.atoms) if grid is None else grid
        gap = find_gap(
            self.matrices, self.num_electrons, grid, workers=self.workers
        )
        filled = self.num_electrons / (1 if self.calculation.is_spinful else 2)
        band = round(filled) - (edge == "valence")
        k_point = getattr(gap, f"{edge}_k")
        return effective_mass(self.matrices, self.atoms.cell, k_point, band)

    def occupations(self, grid=None):
        """Band energy, and the electrons of each atom by Mulliken.

        Args:
            grid: three ints. See `dos`.

        Returns:
            `Occupations`. Its Fermi level is that of this grid.

        Raises:
            ValueError: if a matrix or the number of electrons is missing, or
                the cell is too large for all states.
        """
        if self.num_electrons is None:
            raise ValueError("Give `num_electrons`, which fill the states.")
        return occupations(
            self.matrices,
            self.num_electrons,
            k_grid(self.atoms) if grid is None else grid,
            workers=self.workers,
        )

    def plot_bands(
        self, file, path=None, num_points=120, reference=None, **options
    ):
        """Draws the bands along a path.

        Args:
            file: str or path. The picture, PNG, SVG or PDF by its suffix.
            path, num_points: see `bands`.
            reference: `ElectronicStructure` of the same crystal, such as that
                of a calculation, drawn behind.
            **options: of `kh.plots.plot_bands`, for example `window`.

        Returns:
            The `BandStructure` that was drawn.

        Raises:
            ValueError: see `bands`; and without a Fermi level.
        """
        found = self.bands(path, num_points)
        behind = reference and reference.bands(found.path)
        plot_bands(found, behind, file, **options)
        return found

    def _repr_html_(self):
        """For notebooks; bands of small cells are drawn."""
        words = f"<p>{html.escape(repr(self))}</p>"
        small = self._has_matrices and self.size <= LARGEST_DRAWN
        is_crystal = periodic_directions(self.atoms).any()
        if not (small and is_crystal and self.has_fermi_level):
            return words
        picture = drawn(lambda path: self.plot_bands(path, None, NUM_DRAWN))
        return f'{words}<img alt="bands" width="460" src="{picture}">'

    def completed(self):
        """The `Calculation`, with the Fermi level wherever it follows."""
        if not self.has_fermi_level:
            return self.calculation
        return dataclasses.replace(
            self.calculation, fermi_level=self.fermi_level
        )

    def write(self, path, format=None, **options):
        """Writes H and S, with all that is known, for other programs.

        The file or folder appears when it is complete.

        Args:
            path: str or path. A file is replaced.
            format: str. A name of `data_tools.formats.FORMATS`. Defaults to
                what the path ends in (`.HSX`, `.npz`, `.h5`, `_hr.dat`), else
                a DeepH folder of the older layout.
            **options: of the format's writer.

        Returns:
            The path.

        Raises:
            ValueError: if the path is a folder with files in it, or the format
                cannot hold the structure.
        """
        # The readers and writers stand above the package; only this method
        # needs them.
        from data_tools.formats import ending_format
        from data_tools.formats import write_calculation

        path = pathlib.Path(path)
        if path.is_dir() and any(path.iterdir()):
            raise ValueError(
                f"{path} is a folder with files in it. Choose another name."
            )
        format = format or ending_format(path) or "deeph-legacy"
        if format == "deeph-dock":
            # It asks for the same pairs in H and S.
            options = {"fill_missing": True, **options}
        with replacing(path) as place:
            write_calculation(place, self.completed(), format, **options)
        return path

    def to_sisl(self):
        """H and S as a `sisl.Hamiltonian`, eV and Å.

        Energies stay as they are; sisl's own files have the Fermi level at 0.

        Raises:
            ValueError: if sisl or a matrix is missing, or a shell is beyond d.
        """
        from data_tools.sisl_hamiltonian import to_sisl

        return to_sisl(self.calculation)

    @property
    def _has_matrices(self):
        return self.hamiltonian is not None and self.overlap is not None


def _completed(calculation, model, num_electrons, fermi_level):
    """The `Calculation` with what a model and a user know."""
    atoms, found = calculation.atoms, {}
    if model is not None:
        model.check_elements(atoms, calculation.basis)
        if calculation.overlap is None and model.overlap is not None:
            found["overlap"] = model.overlap(atoms)
        if calculation.num_electrons is None:
            found["num_electrons"] = model.num_electrons(atoms)
    if num_electrons is not None:
        found["num_electrons"] = total_electrons(atoms, num_electrons)
        found["fermi_level"] = None
    if fermi_level is not None:
        found["fermi_level"] = float(fermi_level)
    return dataclasses.replace(calculation, **found) if found else calculation
