"""From atoms to a Hamiltonian, and on to bands and files."""

import dataclasses
import functools
import pathlib
import shutil
import tempfile
import warnings

import keras

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.data.batch import batch_inputs
from keras_hamiltonian.data.batch import batch_matrices
from keras_hamiltonian.models.loading import load_model
from keras_hamiltonian.models.provenance import count_electrons
from keras_hamiltonian.models.rotation_average import average_over_rotations
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics.bands import band_structure
from keras_hamiltonian.physics.dos import density_of_states
from keras_hamiltonian.physics.fermi import find_fermi_level
from keras_hamiltonian.physics.fermi import total_electrons
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import k_grid
from keras_hamiltonian.physics.k_points import k_path
from keras_hamiltonian.physics.populations import orbital_groups
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within

PREDICTION_FILE = "hamiltonians_pred.h5"


def predict(
    model,
    atoms,
    overlap=None,
    num_electrons=None,
    name="prediction",
    num_rotations=None,
    seed=0,
):
    """Predicts the Hamiltonian of a structure.

    Args:
        model: `Stage`, or the path of its `.keras` file.
        atoms: `ase.Atoms`. Nothing else is needed: which atoms interact
            follows from the reach of the model's orbitals.
        overlap: `BlockMatrix`, spinless. Defaults to the model's own
            prediction of it.
        num_electrons: float, valence electrons per cell; or a dict from each
            element to those of one atom, `{"C": 4}`. Defaults to what the
            training set says about this composition.
        name: str. Name of the structure.
        num_rotations: int. Predict the mean over so many random rotations of
            the structure, with its spread; for models that are not exactly
            symmetric. Defaults to none: the structure as it is.
        seed: int. Seed of the rotations.

    Returns:
        `Prediction`.

    Raises:
        ValueError: for an element the model was not made for, or atoms that
            coincide.

    Example:

    >>> import ase.build
    >>> import keras_hamiltonian as kh
    >>> atoms = ase.build.graphene(vacuum=7.5)         # doctest: +SKIP
    >>> prediction = kh.predict("graphene.keras", atoms)  # doctest: +SKIP
    >>> prediction.bands("GMKG").gap()                  # doctest: +SKIP
    0.0
    """
    if not isinstance(model, keras.Model):
        model = load_model(model)
    hamiltonian, spread = _predict(model, atoms, None, num_rotations, seed)
    if not model.is_hermitian:
        hamiltonian = hamiltonian.symmetrized()
    if overlap is None and model.overlap is not None:
        overlap = model.overlap(atoms)
    if num_electrons is None:
        num_electrons = count_electrons(model.provenance, atoms)
    else:
        num_electrons = total_electrons(atoms, num_electrons)
    return Prediction(
        Calculation(
            atoms,
            model.basis,
            spin=model.spin,
            hamiltonian=hamiltonian,
            overlap=overlap,
            num_electrons=num_electrons,
            name=name,
            source=_source(model),
        ),
        spread,
    )


def predict_hamiltonian(
    model, atoms, atom_pairs=None, num_rotations=None, seed=0
):
    """Predicts blocks, without overlap, electrons and Fermi level.

    Args:
        model: `Stage`.
        atoms: `ase.Atoms`.
        atom_pairs: `(P, 5)` int array. Pairs to predict, with their reverse.
            Defaults to all within the reach of the model's orbitals, which is
            what the model was trained on.
        num_rotations: int. See `predict`.
        seed: int. Seed of the rotations.

    Returns:
        `BlockMatrix` in eV, Hermitian if `model.is_hermitian`.

    Raises:
        ValueError: for an element the model was not made for.
    """
    return _predict(model, atoms, atom_pairs, num_rotations, seed)[0]


def _predict(model, atoms, atom_pairs, num_rotations, seed):
    """`BlockMatrix` of the blocks, and of their spread or `None`."""
    model.check_elements(atoms)
    if atom_pairs is None:
        atom_pairs = pairs_within(atoms, model.reaches)
    table = neighbor_table(atoms, atom_pairs)
    # Compiled backends compile once for every shape.
    bucket = 1 if keras.config.backend() == "torch" else 8
    inputs = batch_inputs([atoms], [table], model.basis, bucket, bucket)

    def matrix(blocks):
        return batch_matrices(blocks, [atoms], [table], model.basis)[0]

    if num_rotations is None:
        # No gradients, in contrast to a call of the model.
        return matrix(model.predict_on_batch(inputs)), None
    mean, spread = average_over_rotations(model, inputs, num_rotations, seed)
    return matrix(mean), matrix(spread)


def _source(model):
    source = {"code": "keras_hamiltonian", "model": model.name}
    if model.overlap_threshold is not None:
        source["overlap_threshold"] = model.overlap_threshold
    return source


@dataclasses.dataclass
class Prediction:
    """A predicted Hamiltonian with what follows from it.

    Attributes:
        calculation: `Calculation`, whose Hamiltonian is the prediction.
        spread: `BlockMatrix` of standard deviations over rotations in eV, or
            `None`; with spin, those of real and imaginary parts.
    """

    calculation: Calculation
    spread: BlockMatrix | None = None

    @property
    def atoms(self):
        """The `ase.Atoms` of the structure."""
        return self.calculation.atoms

    @property
    def hamiltonian(self):
        """`BlockMatrix` in eV."""
        return self.calculation.hamiltonian

    @property
    def overlap(self):
        """Spinless `BlockMatrix`, or `None`."""
        return self.calculation.overlap

    @functools.cached_property
    def matrices(self):
        """The `BlochMatrices` H(k) and S(k).

        Raises:
            ValueError: if there is no overlap.
        """
        if self.overlap is None:
            raise ValueError(
                "The model carries no overlap, and bands need one. Give "
                "`overlap` to `predict`, or set `model.overlap` to a "
                "`TwoCentreOverlap` of the training set before saving."
            )
        return BlochMatrices.from_calculation(self.calculation)

    @functools.cached_property
    def fermi_level(self):
        """Fermi level at 300 K in eV; `None` if electrons are not known.

        Its grid has `k_grid(atoms)` points. It takes a diagonalisation at each
        (several sparse factorizations in a cell of more than 8000 orbitals)
        and is computed once, when first asked for.
        """
        if self.calculation.num_electrons is None:
            warnings.warn(
                "The Fermi level is unknown: the model's training set does "
                "not tell how many valence electrons "
                f"{self.atoms.get_chemical_formula()} has. Give "
                "`num_electrons` to `predict`.",
                stacklevel=2,
            )
            return None
        return find_fermi_level(
            self.matrices,
            self.calculation.num_electrons,
            k_grid(self.atoms),
            gamma_centered=True,
        )

    def bands(self, path=None, num_points=120, **options):
        """Band energies along a path.

        Args:
            path: str or list, see `k_path`, or a `KPath`. Defaults to the
                standard path of the lattice.
            num_points: int. Number of wave vectors, about.
            **options: of `solve_bands`, for example `num_bands`, `workers`,
                or for large cells `around` an energy or a `window`.

        Returns:
            `BandStructure`, with the Fermi level where it is known.

        Raises:
            ValueError: if there is no overlap, or the path is unknown.
        """
        if path is None or isinstance(path, str | list | tuple):
            path = k_path(self.atoms, path, num_points)
        return band_structure(self.matrices, path, self.fermi_level, **options)

    def dos(self, grid=None, projected=True, **options):
        """Density of states, whole and by element and shell.

        Args:
            grid: three ints. Wave vectors along each direction. Defaults to
                `k_grid(atoms)`, which is coarse for a small cell.
            projected: bool. Whether to project on elements and shells.
            **options: of `density_of_states`, for example `broadening`,
                `method="tetrahedron"`, and for large cells `energies`.

        Returns:
            `DensityOfStates`, with the Fermi level where it is known.

        Raises:
            ValueError: if there is no overlap, or the options clash.
        """
        groups = orbital_groups(self.calculation) if projected else None
        return density_of_states(
            self.matrices,
            k_grid(self.atoms) if grid is None else grid,
            groups=groups,
            fermi_level=self.fermi_level,
            **options,
        )

    def write(self, folder):
        """Writes a DeepH folder of the older layout.

        It holds `hamiltonians_pred.h5`, `overlaps.h5` (if there is an
        overlap), the structure and `info.json`, which has the Fermi level and
        the number of electrons where they are known, and the overlap threshold
        of the model, which other programs pass over. All files appear when all
        are written.

        Args:
            folder: str or path. A prediction that lies there is replaced.

        Returns:
            The folder's path.

        Raises:
            ValueError: if the folder holds anything else.
        """
        # The readers and writers stand above the package; only this method
        # needs one.
        from data_tools.deeph import write_legacy
        from data_tools.deeph import write_prediction

        folder = pathlib.Path(folder)
        _check_target(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        calculation = self.calculation
        if calculation.num_electrons is not None and self.overlap is not None:
            calculation = dataclasses.replace(
                calculation, fermi_level=self.fermi_level
            )
        with tempfile.TemporaryDirectory(
            prefix=f".{folder.name}.", dir=folder.parent
        ) as scratch:
            written = pathlib.Path(scratch) / folder.name
            if self.overlap is None:
                files = {"hamiltonian": PREDICTION_FILE}
                write_legacy(written, calculation, files)
            else:
                write_legacy(written, calculation, {"hamiltonian": None})
                write_prediction(written, calculation)
            if folder.exists():
                shutil.rmtree(folder)
            written.rename(folder)
        return folder


def _check_target(folder):
    if not folder.exists():
        return
    names = {entry.name for entry in folder.iterdir()}
    if names and (PREDICTION_FILE not in names or "hamiltonians.h5" in names):
        raise ValueError(
            f"{folder} holds other files, which a prediction would mix with: "
            f"{', '.join(sorted(names)[:4])}. Choose a new folder. To put a "
            "prediction beside a calculation call "
            "`data_tools.deeph.write_prediction(folder, calculation)`."
        )
