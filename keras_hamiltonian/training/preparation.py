"""What a training needs before the first step and after the last."""

import dataclasses
import itertools
import random
import time
import warnings

from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.electronic_structure import ElectronicStructure
from keras_hamiltonian.evaluation.calibration import fit_error_estimate
from keras_hamiltonian.evaluation.overlap_threshold import (
    choose_overlap_threshold,
)
from keras_hamiltonian.messages import counted
from keras_hamiltonian.messages import logger
from keras_hamiltonian.models.hamiltonian_cascade import HamiltonianCascade
from keras_hamiltonian.models.provenance import training_provenance
from keras_hamiltonian.models.state_folder import StateFolder
from keras_hamiltonian.physics.energy_shift import EnergyShift
from keras_hamiltonian.physics.overlap import TwoCentreOverlap
from keras_hamiltonian.physics.reach import estimate_reaches
from keras_hamiltonian.strategy import current
from keras_hamiltonian.training.stage_classes import stage_class

# Overlaps of this many structures tell all about the overlap.
NUM_OVERLAPS = 30
# Of training and validation structures that the error estimate looks at.
NUM_KNOWN, NUM_OTHERS = 100, 30


def make_datasets(store, split, settings, basis=None):
    """Training and validation data.

    Args:
        store: `HamiltonianStore`.
        split: `Split`.
        settings: `TrainingSettings`.
        basis: `OrbitalBasis`. Defaults to that of the store.

    Returns:
        Two `HamiltonianDataset`; the second is `None` if no structure
        validates.

    Raises:
        ValueError: if the settings ask for H⁰ and structures have none.
    """
    if settings.initial is not None:
        names = [*split.train, *split.validate, *split.test]
        missing = [name for name in names if not store.has_initial(name)]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(names)} structures have no H⁰, which "
                f"initial={settings.initial!r} asks for: "
                f"{', '.join(missing[:5])}. Add it (data_tools/README.md says "
                "how each program makes it), give `species` that it is "
                "computed from, or leave `initial` out."
            )
    options = {
        "basis": basis,
        "batch_size": settings.batch_size * current().num_devices,
        "cache": settings.cache,
        "read_ahead": settings.read_ahead,
        "initial": settings.initial is not None,
    }
    training = HamiltonianDataset(
        store, split.train, shuffle=True, seed=settings.seed, **options
    )
    if not split.validate:
        return training, None
    return training, HamiltonianDataset(store, split.validate, **options)


def make_states(training, settings, stage):
    """The eigenstates that the loss in k space needs, solved where missing.

    Args:
        training: `HamiltonianDataset` of a `HamiltonianStore`.
        settings: `TrainingSettings`.
        stage: `Stage`, which gives overlaps that structures lack.

    Returns:
        `StateFolder`, or `None` without such a loss.
    """
    if settings.k_loss is None:
        return None
    store, start = training.calculations, time.process_time()
    states = StateFolder(
        settings.k_loss.folder or store.path.with_suffix(".states"),
        **settings.k_loss.state_options(),
    )
    known = (store[name] for name in counted(training.keys, "states"))
    number = states.fill(
        ElectronicStructure(c, stage).calculation for c in known
    )
    if number:
        seconds = time.process_time() - start
        logger.info(
            f"Solved the states of {number} structures: {seconds:.0f} CPU "
            f"seconds, kept in {states.path}."
        )
    return states


def make_first_stage(store, split, settings, start=None):
    """The untrained first stage, with the overlap of the data.

    Args:
        store: `HamiltonianStore`.
        split: `Split`.
        settings: `TrainingSettings`.
        start: `Start`, or `None`.

    Returns:
        `Stage`, made for the reaches of the orbitals in the data.

    Raises:
        ValueError: if the data do not fit the settings.
    """
    overlaps, shown = [], _in_turn(store, split.train)
    if store.zeroth_step is None:
        overlaps = _overlaps(store, split)
        pairs = _listed_pairs(store, shown, overlaps)
        known = _known_reaches(store, settings, start)
        reaches = estimate_reaches(pairs, known)
    else:
        reaches = store.zeroth_step.reaches
        reaches = {symbol: reaches[symbol] for symbol in store.basis.symbols}
    basis, options = store.basis.to_dict(), settings.first_options
    if start is not None:
        basis, reaches = start.grown(store, reaches)
        options = {**options, **start.options(0, basis, reaches)}
    _seed(settings)
    initial = {} if settings.initial is None else {"initial": settings.initial}
    stage = stage_class("first_stage", settings.first_stage)(
        basis,
        reaches,
        spin=store.spin,
        dtype=settings.dtype,
        **initial,
        **options,
    )
    stage.zeroth_step = store.zeroth_step
    if overlaps:
        stage.overlap = TwoCentreOverlap.fit(overlaps, reaches)
    if start is not None:
        start.complete(stage)
        start.copy(stage)
    if stage.takes_initial:
        shown = counted(shown[:NUM_OVERLAPS], "energy zero")
        known = (store[name] for name in shown)
        stage.energy_shift = EnergyShift.fit(
            (ElectronicStructure(c, stage).calculation for c in known),
            start and start.model.energy_shift,
        )
    return stage


def check_overlaps(stage, store, names):
    """Refuses structures whose overlap the stage cannot tell, before the
    training whose test needs it.

    Args:
        stage: `Stage`.
        store: `HamiltonianStore`.
        names: names of structures.

    Raises:
        ValueError: that names the structure.
    """
    if stage.overlap is None or stage.zeroth_step is not None:
        return  # none is needed, or it is computed
    for name in names:
        try:
            stage.overlap.check(store.atoms(name))
        except ValueError as error:
            raise ValueError(
                f"The test structure {name!r} cannot be predicted: let it "
                f"train, or leave it out of the split. {error}"
            ) from error


def make_cascade(stage, settings, start=None):
    """The first stage with an untrained second one, or that of a `Start`.

    Returns:
        `HamiltonianCascade`.
    """
    options = settings.second_options
    continues = start is not None and start.has_second_stage
    if continues:
        grown = stage.arguments["basis"], stage.arguments["reaches"]
        options = {**options, **start.options(1, *grown)}
    _seed(settings)
    refinement = stage_class("second_stage", settings.second_stage).for_stage(
        stage, dtype=settings.dtype, **options
    )
    if continues:
        start.copy(refinement, 1)
    return HamiltonianCascade(stage, refinement)


def complete_model(model, store, split, known=None, **details):
    """Gives a trained model all but its weights.

    Bands of a few validation structures say which nearly dependent
    combinations of orbitals predictions leave out; a model whose bands cannot
    be compared is kept. Errors of validation structures say what the model
    knows of its errors.

    Args:
        model: `Stage`.
        store: `HamiltonianStore`.
        split: `Split`.
        known: dict. Provenance of the model that the training began with.
        **details: JSON values for the provenance.
    """
    model.overlap_threshold, errors = None, {}
    others = _in_turn(store, split.validate)
    try:
        model.overlap_threshold, errors = choose_overlap_threshold(
            model,
            (store[name] for name in counted(others, "overlap threshold")),
        )
    except ValueError as error:
        warnings.warn(
            "Bands of the validation structures could not be compared, so "
            f"predictions leave out no combination of orbitals. {error}",
            stacklevel=2,
        )
    model.error_estimate = None
    train, others = _in_turn(store, split.train), others[:NUM_OTHERS]
    try:
        if others:
            model.error_estimate = fit_error_estimate(
                model,
                (store[n] for n in counted(train[:NUM_KNOWN], "known atoms")),
                (store[n] for n in counted(others, "error estimate")),
            )
    except ValueError as error:
        warnings.warn(
            f"The model does not know its errors. {error}", stacklevel=2
        )
    model.provenance = training_provenance(
        (store[name] for name in counted(split.train, "origin")),
        known,
        data=store.attributes,
        band_errors=errors,
        **details,
    )


def _seed(settings):
    # Of Keras' initializers; `keras.utils.set_random_seed` would import
    # TensorFlow too.
    random.seed(settings.seed)


def _in_turn(store, names):
    """Names, one of each composition after the other: a few of them then have
    all elements, and structures of each set."""
    groups = {}
    for name in names:
        formula = store.atoms(name).get_chemical_formula()
        groups.setdefault(formula, []).append(name)
    rounds = itertools.zip_longest(*groups.values())
    return [name for some in rounds for name in some if name is not None]


def _overlaps(store, split):
    """Structures whose overlap tells that of others.

    Few structures of a set need keep it; the validation structures serve as
    well, because it is exact in every one.
    """
    names = [
        name
        for name in _in_turn(store, split.train + split.validate)
        if store.pair_counts(name)["overlap"]
    ][:NUM_OVERLAPS]
    return [
        dataclasses.replace(
            store[name], hamiltonian=None, initial_hamiltonian=None
        )
        for name in names
    ]


def _known_reaches(store, settings, start):
    """Those of the settings and of the model to start from."""
    others = sorted(set(settings.reaches) - set(store.basis.symbols))
    if others:
        raise ValueError(
            f"`reaches` names {', '.join(others)}; elements of the data are "
            f"{', '.join(store.basis.symbols)}. Leave the others out."
        )
    known = {} if start is None else start.model.reaches
    return {**settings.reaches, **known}


def _listed_pairs(store, names, overlaps):
    """Structures whose pairs tell the reach; the Hamiltonians of large sets
    do not fit into memory."""
    known = {c.name: c for c in overlaps}
    for number, name in enumerate(names):
        if name in known:
            yield known[name]
        elif number < NUM_OVERLAPS:
            yield store[name]
