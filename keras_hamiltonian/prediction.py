"""From atoms to a Hamiltonian."""

import dataclasses
import json
import os
import pathlib

import keras

from keras_hamiltonian.conventions import CODE
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.electronic_structure import ElectronicStructure
from keras_hamiltonian.files import replacing
from keras_hamiltonian.initial import check_distances
from keras_hamiltonian.initial import given_initial
from keras_hamiltonian.initial import with_own_initial
from keras_hamiltonian.models.loading import load_model
from keras_hamiltonian.models.placement import check_placement
from keras_hamiltonian.models.placement import on_device
from keras_hamiltonian.models.placement import placed
from keras_hamiltonian.network_outputs import predict_blocks
from keras_hamiltonian.orbitals.gauge import shifted
from keras_hamiltonian.physics.fermi import spread_k_points
from keras_hamiltonian.physics.k_points import k_grid
from keras_hamiltonian.slabs import SlabPrediction
from keras_hamiltonian.uncertainty.prediction_warnings import level_warnings
from keras_hamiltonian.uncertainty.prediction_warnings import structure_warnings

# Orbitals; all levels of larger cells take minutes.
LARGEST_DENSE = 2000
PREDICTION_FILE = "hamiltonians_pred.h5"
# What `Prediction.write` puts into a folder.
FILES = {
    PREDICTION_FILE,
    "R_list.dat",
    "element.dat",
    "info.json",
    "lat.dat",
    "orbital_types.dat",
    "overlaps.h5",
    "rlat.dat",
    "site_positions.dat",
}


def predict(
    model,
    atoms,
    overlap=None,
    num_electrons=None,
    name=None,
    num_rotations=None,
    seed=0,
    initial=None,
    uncertainty=False,
    max_memory=None,
    progress=None,
    device=None,
    dtype=None,
):
    """Predicts the Hamiltonian of a structure.

    A model with an `error_estimate`, as training leaves it, also looks for
    what the training set does not tell: `prediction.warnings`.

    Args:
        model: `Stage`, or the path of its `.keras` file, or the name of a
            preset (`kh.models.Stage.presets`).
        atoms: `ase.Atoms`. Nothing else is needed: which atoms interact
            follows from the reach of the model's orbitals. Or a `Calculation`,
            whose overlap, number of electrons and H⁰ are taken where it has
            them; or the path of one or the other, of any format that the
            command line reads; or a list of these.
        overlap: `BlockMatrix`, spinless; of a list of structures a list.
            Defaults to the model's own prediction of it.
        num_electrons: float, valence electrons per cell; or a dict from each
            element to those of one atom, `{"C": 4}`. Defaults to what the
            training set says about this composition.
        name: str. Name of the structure; of a path with several, the one to
            take. Defaults to that of the path, else `"prediction"`.
        num_rotations: int. Predict the mean over this many random rotations
            of the structure, with its spread; for models that are not exactly
            symmetric. Defaults to none: the structure as it is.
        seed: int. Seed of the rotations.
        initial: H⁰ of the structure, for a model that takes it: a
            `Calculation` (its `initial_hamiltonian` or, of a run of the first
            step alone, its `hamiltonian`; and its overlap), the path of one, a
            `BlockMatrix`, or a function from `ase.Atoms` to a `Calculation` or
            to H⁰ and S; of a list of structures a list of these, or the
            function. Defaults to that of a `Calculation`, else to
            `model.zeroth_step`, which models trained with `species` have.
        uncertainty: bool. Whether to give the errors that are expected,
            `prediction.expected_errors`; next to no cost.
        max_memory: number of bytes, or str such as `"4GB"`: what the process
            may take of the main memory; that of a GPU is not counted. The
            structure is then predicted in slabs, with the same
            result but for rounding, and sparse solvers keep to it, too.
            Defaults to no limit. A Hamiltonian that is too large for it:
            `kh.stream_prediction`.
        progress: function of the fraction done, called after each slab.
        device: str. Where the network is computed, by Keras' names: `"cpu"`,
            `"gpu"`, `"gpu:1"`. Defaults to where the model is.
        dtype: `"float32"` or `"float64"`, in which the network is computed
            (a list shares the copy of the model). Defaults to that of the
            model, most often float32.

    Returns:
        `Prediction`; of a list, the list of them.

    Raises:
        ValueError: for elements or shells the model was not made for, a path
            without a structure or with several, atoms that coincide, a model
            that takes H⁰ and does not get it or the other way round, H⁰ of
            other atoms, rotations of a model that is exactly symmetric,
            expected errors of one without an `error_estimate`, a limit of
            memory that is too low, a device that is not there, or another
            precision.

    Example:

    >>> import ase.build
    >>> atoms = ase.build.graphene(vacuum=7.5)         # doctest: +SKIP
    >>> prediction = kh.predict("graphene.keras", atoms)  # doctest: +SKIP
    >>> prediction.bands("GMKG").gap()                  # doctest: +SKIP
    0.0
    """
    options = {
        "overlap": overlap,
        "num_electrons": num_electrons,
        "name": name,
        "num_rotations": num_rotations,
        "seed": seed,
        "initial": initial,
        "uncertainty": uncertainty,
        "max_memory": max_memory,
        "progress": progress,
    }
    check_placement(device, dtype)
    with on_device(device):
        model = ready_model(model, device, dtype)
        check_options(model, num_rotations, uncertainty)
        if isinstance(atoms, list | tuple):
            own = [
                _each(name, options.pop(name), len(atoms))
                for name in ("overlap", "initial")
            ]
            return [
                _prediction(model, x, overlap=s, initial=h, **options)
                for x, s, h in zip(atoms, *own)
            ]
        return _prediction(model, atoms, **options)


def _each(name, given, number):
    """What is given for each of several structures, a list."""
    if given is None or callable(given):
        return [given] * number
    if isinstance(given, list) and len(given) == number:
        return given
    found = f"{len(given)} of them" if isinstance(given, list) else "one"
    raise ValueError(
        f"`{name}` of {number} structures is a list with one for each, or a "
        f"function of their atoms where it may be one. Received: {found}."
    )


def ready_model(model, device=None, dtype=None):
    """The model of a prediction.

    Args:
        model, device, dtype: see `predict`.

    Returns:
        `Stage`.
    """
    if not isinstance(model, keras.Model):
        model = load_model(model)
    return placed(model, device, dtype)


def _prediction(
    model,
    atoms,
    overlap,
    num_electrons,
    name,
    num_rotations,
    seed,
    initial,
    uncertainty,
    max_memory,
    progress,
):
    """See `predict`."""
    atoms, name = read_structure(atoms, name)
    known = structure_of(model, atoms, overlap, initial, name)
    if max_memory is None:
        known = with_own_initial(model, known)
    atoms, overlap = known.atoms, known.overlap
    estimate = model.error_estimate
    options = num_rotations, seed, estimate is not None
    if max_memory is None:
        hamiltonian, spread, features = _predict(model, known, None, *options)
    else:
        run = slab_prediction(model, known, *options, max_memory)
        hamiltonian, spread, features = run.gathered(progress)
        if overlap is None and model.overlap is not None:
            overlap = model.overlap(atoms)
            known = dataclasses.replace(known, overlap=overlap)
        hamiltonian = _with_shift(model, known, hamiltonian, run.initial)
    calculation = Calculation(
        atoms,
        model.basis,
        spin=model.spin,
        hamiltonian=hamiltonian,
        overlap=overlap,
        name=name,
        source=prediction_source(model),
    )
    provenance = {"model": model.name, "training": model.provenance}
    provenance |= {"num_rotations": num_rotations, "seed": seed}
    expected, found = None, []
    if estimate is not None:
        if uncertainty:
            expected = estimate.expected(
                hamiltonian, calculation, features, model.basis
            )
        symbols = atoms.get_chemical_symbols()
        novelty = estimate.novelty(symbols, features)
        found = structure_warnings(model, atoms, novelty)
    return Prediction(
        calculation,
        spread,
        provenance,
        model=model,
        num_electrons=(
            known.num_electrons if num_electrons is None else num_electrons
        ),
        max_memory=max_memory,
        expected_errors=expected,
        warnings=found,
    )


def read_structure(atoms, name=None):
    """A structure and its name.

    Args:
        atoms: `ase.Atoms`, a `Calculation`, or the path of a structure.
        name: str. Of several in the path that which is meant.

    Returns:
        Two values: `ase.Atoms` or a `Calculation`, and a str.
    """
    if not isinstance(atoms, str | os.PathLike):
        return atoms, name or "prediction"
    path = atoms
    from data_tools.structures import find_structures

    found = find_structures([path])
    if len(found) > 1 and name is not None:
        found = find_structures([path], [name])
    if len(found) > 1:
        raise ValueError(
            f"{path} holds {len(found)} structures: "
            f"{', '.join(s.name for s in found[:5])}, ... Choose one, "
            f"name={found[0].name!r}."
        )
    atoms, known = found[0].load()
    return known or atoms, name or found[0].name


def predict_hamiltonian(
    model, structure, atom_pairs=None, num_rotations=None, seed=0
):
    """Predicts blocks, without overlap, electrons and Fermi level.

    Args:
        model: `Stage`.
        structure: `ase.Atoms`; or a `Calculation`, which has H⁰ (and the
            overlap, for the energy zero) if the model takes it and does not
            compute it itself.
        atom_pairs: `(P, 5)` int array. Pairs to predict, with their reverse.
            Defaults to those of H⁰, else to all within the reach of the
            model's orbitals, which is what the model was trained on.
        num_rotations: int. See `predict`.
        seed: int. Seed of the rotations.

    Returns:
        `BlockMatrix` in eV, Hermitian: of a model that is not the mean of
        each block and its reverse.

    Raises:
        ValueError: for an element the model was not made for, or a missing
            H⁰.
    """
    structure = with_own_initial(model, structure)
    return _predict(model, structure, atom_pairs, num_rotations, seed)[0]


def predict_with_features(model, structure, atom_pairs=None):
    """Predicts blocks, and the features of the atoms in the same pass.

    Args:
        model, structure, atom_pairs: see `predict_hamiltonian`.

    Returns:
        `BlockMatrix` in eV; and a list of `(num_atoms, dim)` arrays, the
        features of each group, whose irreps are `model.feature_irreps`.

    Raises:
        ValueError: see `predict_hamiltonian`.
    """
    structure = with_own_initial(model, structure)
    found = _predict(model, structure, atom_pairs, None, 0, True)
    return found[0], found[2]


def slab_prediction(
    model,
    known,
    num_rotations=None,
    seed=0,
    with_features=False,
    max_memory=None,
    is_kept=True,
):
    """A prediction that is made of those of slabs.

    Args:
        model: `Stage`.
        known: `Calculation`, see `SlabPrediction`.
        num_rotations, seed: see `predict`.
        with_features: bool. Whether features of the atoms are wanted.
        max_memory: see `predict`.
        is_kept: bool. Whether the matrices stay in memory.

    Returns:
        `SlabPrediction`.
    """

    def compute(part, atom_pairs):
        return predict_blocks(
            model, part, atom_pairs, num_rotations, seed, with_features
        )

    # H, its spread, and S with what makes it.
    kept = 4 + (num_rotations is not None) if is_kept else 0
    # Rotations turn the crystal before its features are known.
    by_group = num_rotations is None
    return SlabPrediction(model, known, compute, max_memory, kept, by_group)


def _predict(
    model, structure, atom_pairs, num_rotations, seed, with_features=False
):
    """Those of `predict_blocks`, with the energy zero of the model."""
    hamiltonian, *found = predict_blocks(
        model, structure, atom_pairs, num_rotations, seed, with_features
    )
    if model.energy_shift is not None:
        initial = structure.initial_hamiltonian
        hamiltonian = _with_shift(model, structure, hamiltonian, initial)
    return hamiltonian, *found


def _with_shift(model, known, hamiltonian, initial):
    """H + μS of a model that knows μ; H of others, or without S."""
    if model.energy_shift is None:
        return hamiltonian
    overlap = known.overlap
    if overlap is None and model.overlap is not None:
        overlap = model.overlap(known.atoms)
    if overlap is None:
        return hamiltonian
    shift = model.energy_shift(known.atoms, initial)
    return shifted(hamiltonian, shift, overlap)


def structure_of(model, atoms, overlap=None, initial=None, name=""):
    """What a prediction starts from.

    Args:
        model, atoms, overlap, initial, name: see `predict`.

    Returns:
        `Calculation`, with S and H⁰ where they are given.
    """
    if not isinstance(atoms, Calculation):
        atoms = Calculation(atoms, model.basis, spin=model.spin, name=name)
    if initial is not None and not model.takes_initial:
        raise ValueError(
            f"The model {model.name!r} takes no H⁰: it predicts H itself. "
            "Leave out `initial` (--initial, --species), or take a model "
            'trained with `initial="both"`.'
        )
    known = given_initial(atoms, initial)
    if initial is not None:
        check_distances(known, model.reaches)
    if overlap is not None:
        known = dataclasses.replace(known, overlap=overlap)
    return known


def prediction_source(model):
    """`source` of a predicted `Calculation`."""
    source = {"code": CODE, "model": model.name}
    if model.overlap_threshold is not None:
        source["overlap_threshold"] = model.overlap_threshold
    return source


def check_options(model, num_rotations=None, uncertainty=False):
    """Refuses options of `predict` that a model does not have.

    Raises:
        ValueError: saying why.
    """
    if num_rotations is not None and model.is_symmetric:
        raise ValueError(
            f"The model {model.name!r} is symmetric by construction: its "
            "predictions do not depend on a rotation, and their spread is "
            "rounding, no measure of the error. Leave the rotations out; "
            "uncertainty=True (--uncertainty) gives the expected errors."
        )
    if uncertainty and model.error_estimate is None:
        raise ValueError(
            f"The model {model.name!r} does not know its errors: it was "
            "trained without validation structures, or by an older version. "
            "Set `model.error_estimate = kh.evaluation.fit_error_estimate("
            "model, training, validation)` and save it."
        )


class Prediction(ElectronicStructure):
    """An `ElectronicStructure` whose Hamiltonian a model predicted.

    Args:
        calculation: `Calculation`, whose Hamiltonian is the prediction.
        spread: `BlockMatrix` of standard deviations over rotations in eV, or
            `None`; with spin, those of real and imaginary parts.
        provenance: dict. Where the Hamiltonian comes from: `model` (its name),
            `num_rotations`, `seed`, and `training`, the origin and settings
            of the model (see `kh.models.training_provenance`).
        expected_errors: `kh.uncertainty.ExpectedErrors`, or `None`.
        warnings: list of dicts, see `kh.uncertainty.structure_warnings`.
        **options: of `ElectronicStructure`.

    Attributes: `spread`, `provenance`, `expected_errors`, `warnings`, and
        those of `ElectronicStructure`.
    """

    def __init__(
        self,
        calculation,
        spread=None,
        provenance=None,
        expected_errors=None,
        warnings=(),
        **options,
    ):
        super().__init__(calculation, **options)
        self.spread = spread
        self.provenance = provenance
        self.expected_errors = expected_errors
        self.warnings = list(warnings)

    def level_warnings(self):
        """Warnings of levels that rest on small norms, and are likely false.

        All levels are solved at some of the wave vectors that the Fermi level
        is found on, the fewer the larger the cell: wave vectors times
        orbitals are about 2000, so of the largest cells it is Γ alone.

        Returns:
            List, see `kh.uncertainty.level_warnings`; empty where the Fermi
            level is unknown, or the cell has more than 2000 orbitals.
        """
        if not self.has_fermi_level or self.size > LARGEST_DENSE:
            return []
        # A cell of n times the size has the levels of n wave vectors at one.
        number = -(-LARGEST_DENSE // self.size)
        k_points = spread_k_points(self.matrices, k_grid(self.atoms), number)
        solved = [self.states(k_point) for k_point in k_points]
        return level_warnings(solved, self.fermi_level)

    def bands(self, path=None, num_points=120, **options):
        """See `ElectronicStructure.bands`; with the expected errors of all
        levels, if the prediction has any."""
        expected = self.expected_errors
        if expected is not None and expected.level_factor is not None:
            options["level_errors"] = expected.of_levels
        return super().bands(path, num_points, **options)

    def write(self, path, format=None, **options):
        """Writes the prediction, see `ElectronicStructure.write`.

        By default in a DeepH folder of the older layout, as DeepH writes
        predictions (`format="deeph"`): `hamiltonians_pred.h5`, `overlaps.h5`
        (if there is an overlap), the structure and `info.json`. That has the
        Fermi level and the number of electrons where they are known, and the
        overlap threshold of the model, which other programs pass over. An
        earlier prediction in the folder is replaced, once the new one is
        complete.

        Raises:
            ValueError: if the folder holds anything else, see
                `check_prediction_folder`.
        """
        from data_tools.deeph import write_legacy
        from data_tools.deeph import write_prediction
        from data_tools.formats import ending_format

        if (format or ending_format(path) or "deeph") != "deeph":
            return super().write(path, format, **options)
        folder = pathlib.Path(path)
        check_prediction_folder(folder)
        with replacing(folder, replaces_folder=True) as place:
            calculation = self.completed()
            if self.overlap is None:
                files = {"hamiltonian": PREDICTION_FILE}
                write_legacy(place, calculation, files)
            else:
                write_legacy(place, calculation, {"hamiltonian": None})
                write_prediction(place, calculation)
        return folder


def check_prediction_folder(folder):
    """Refuses a folder that holds anything but an earlier prediction.

    Args:
        folder: str or path. Need not be there.

    Raises:
        ValueError: if a file in it was not written by `Prediction.write`.
    """
    folder = pathlib.Path(folder)
    if not folder.exists():
        return
    others = sorted(
        entry.name for entry in folder.iterdir() if entry.name not in FILES
    )
    if not others and not _is_own(folder):
        others = [entry.name for entry in folder.iterdir()]
    if others:
        raise ValueError(
            f"{folder} holds other files, which a prediction would mix with: "
            f"{', '.join(others[:4])}. Choose a new folder. To put a "
            "prediction beside a calculation call "
            "`data_tools.deeph.write_prediction(folder, calculation)`."
        )


def _is_own(folder):
    """Whether `info.json` says that this package made the folder."""
    try:
        info = json.loads((folder / "info.json").read_text())
        return info["source"]["code"] == CODE
    except (OSError, ValueError, KeyError, TypeError):
        return False
