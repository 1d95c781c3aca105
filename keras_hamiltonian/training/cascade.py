"""Residual training of a cascade, which may be stopped and goes on."""

import dataclasses
import pathlib
import random
import shutil
import time
import warnings

import keras

from keras_hamiltonian.callbacks.budget_bar import BudgetBar
from keras_hamiltonian.callbacks.cosine_budget import CosineBudget
from keras_hamiltonian.callbacks.learning_curve import LearningCurve
from keras_hamiltonian.callbacks.revert_on_spike import RevertOnSpike
from keras_hamiltonian.callbacks.training_checkpoint import TrainingCheckpoint
from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.evaluation.overlap_threshold import (
    choose_overlap_threshold,
)
from keras_hamiltonian.evaluation.runs import fingerprint as fingerprint_of
from keras_hamiltonian.files import replacing
from keras_hamiltonian.losses.block_errors import BlockMeanAbsoluteError
from keras_hamiltonian.losses.block_errors import BlockMeanSquaredError
from keras_hamiltonian.models.feature_file import stage_checksum
from keras_hamiltonian.models.hamiltonian_cascade import HamiltonianCascade
from keras_hamiltonian.models.provenance import training_provenance
from keras_hamiltonian.models.stage_features import StageFeatures
from keras_hamiltonian.physics.overlap import TwoCentreOverlap
from keras_hamiltonian.physics.reach import estimate_reaches
from keras_hamiltonian.training.settings import stage_class

LOSSES = {
    "mean_absolute": BlockMeanAbsoluteError,
    "mean_squared": BlockMeanSquaredError,
}
# Overlaps of so many structures tell all that there is to know of them.
NUM_OVERLAPS = 30


@dataclasses.dataclass
class TrainedModel:
    """What `train_cascade` returns.

    Attributes:
        model: `HamiltonianCascade`, or `EquivariantStage` where there is no
            second stage.
        file: path of the `.keras` file.
        history: dict of lists, see `LearningCurve`; `stage` tells the stages
            apart.
        steps: dict. Optimizer steps of each stage, `"first"`, `"second"`.
        cpu_seconds: float. Of all stages, reading and validation included,
            over all processes that took part.
        checkpoints: path of the folder from which the training goes on if it
            is started again.
    """

    model: keras.Model
    file: pathlib.Path
    history: dict
    steps: dict
    cpu_seconds: float
    checkpoints: pathlib.Path


def train_cascade(
    store,
    split,
    settings,
    output,
    name="cascade",
    start=None,
    fingerprint=None,
    again=False,
    stage=None,
):
    """Trains the first stage, then the second on what the first has left.

    Reach of the orbitals and overlap are read off the data, the two-centre
    baseline is fitted, and the first stage is trained with its share of the
    budget. Its features are computed once, and the second stage is trained on
    them. Bands of a few structures that validate say which nearly dependent
    combinations of orbitals predictions should leave out (see
    `kh.evaluation.choose_overlap_threshold`). The model is saved with overlap
    and origin.

    What a killed process has done is in `output/checkpoint`; started again
    with the same arguments, the training goes on there. With a budget of
    steps, on one backend and one thread, it ends in the weights of a training
    that was never stopped, bit for bit. A budget of seconds goes on with the
    CPU seconds counted so far.

    Args:
        store: `HamiltonianStore`.
        split: `Split`; `test` is not used.
        settings: `TrainingSettings`.
        output: str or path. Folder for the model, `learning_curve.json` and
            checkpoints.
        name: str. The model's file is `<name>.keras`.
        start: float. Reading of `time.process_time()` at which the budget of
            seconds began. Defaults to now.
        fingerprint: str. Checksum of all that the training depends on.
            Defaults to one of the store's file, split, settings and backend.
        again: bool. Start afresh, whatever checkpoints there are.
        stage: `EquivariantStage`, trained on these data: the second stage is
            trained on it, with its own share of the budget. Defaults to one
            that is trained first.

    Returns:
        `TrainedModel`.

    Raises:
        ValueError: if `output` has the checkpoints of another training, or
            the data do not fit the settings, or there is nothing to train.

    Example:

    >>> store = kh.HamiltonianStore("my_set.h5")         # doctest: +SKIP
    >>> split = kh.data.random_split(store.names)        # doctest: +SKIP
    >>> settings = TrainingSettings(steps=5000)          # doctest: +SKIP
    >>> trained = train_cascade(                         # doctest: +SKIP
    ...     store, split, settings, "runs/my_set"
    ... )

    Reference: Yin et al., arXiv 2401.00744, residual training.
    """
    output = pathlib.Path(output)
    start = time.process_time() if start is None else start
    if fingerprint is None:
        fingerprint = fingerprint_of(
            [store.path],
            split=split.checksum,
            settings=settings.model_dump(mode="json"),
            backend=keras.config.backend(),
        )
    if stage is not None:
        fingerprint = f"{fingerprint} {stage_checksum(stage)}"
    checkpoints = output / "checkpoint"
    if again:
        shutil.rmtree(checkpoints, ignore_errors=True)
    curve = LearningCurve(output / "learning_curve.json", start)
    fit = _Fit(store, split, settings, checkpoints, fingerprint, curve)

    if stage is None:
        stage = _first_stage(store, split, settings)
        fit.first(stage, start)
    elif settings.second_stage == "none":
        raise ValueError(
            "The first stage is given, and the settings have no second one: "
            'there is nothing to train. Set second_stage="equivariant".'
        )
    model = stage
    if settings.second_stage != "none":
        model = fit.second(stage)
    if settings.joint_share:
        fit.joint(model)

    cpu_seconds = curve.cpu_seconds
    model.overlap_threshold, band_errors = _best_threshold(model, store, split)
    model.provenance = training_provenance(
        (store[name] for name in split.train),
        data=store.attributes,
        settings=settings.model_dump(mode="json"),
        steps=fit.steps,
        cpu_seconds=round(cpu_seconds, 1),
        band_errors=band_errors,
    )
    file = output / f"{name}.keras"
    with replacing(file) as place:
        model.save(place)
    return TrainedModel(
        model, file, curve.history, fit.steps, cpu_seconds, checkpoints
    )


class _Fit:
    """Fits one stage after the other, with one learning curve."""

    def __init__(self, store, split, settings, folder, fingerprint, curve):
        self.settings = settings
        self.folder = folder
        self.fingerprint = fingerprint
        self.curve = curve
        self.budgets = settings.stage_budgets()
        self.steps = {}
        options = {"batch_size": settings.batch_size, "cache": settings.cache}
        self.training = HamiltonianDataset(
            store, split.train, shuffle=True, seed=settings.seed, **options
        )
        self.validation = None
        if split.validate:
            self.validation = HamiltonianDataset(
                store, split.validate, **options
            )

    def first(self, stage, start):
        """The first stage, from the atoms."""
        self.training.set_state({"epoch": 0})
        data = self.training, self.validation
        self._fit("first", stage, *data, lambda: stage.adapt(data[0]), start)

    def second(self, stage):
        """The second stage, on features of the first; returns the cascade."""
        start = time.process_time()
        settings = self.settings
        random.seed(settings.seed)
        refinement = stage_class(settings.second_stage).for_stage(
            stage, dtype=settings.dtype, **settings.second_options
        )
        cascade = HamiltonianCascade(stage, refinement)
        data = [
            None if d is None else StageFeatures(stage, d, cache=settings.cache)
            for d in (self.training, self.validation)
        ]
        self.training.set_state({"epoch": 0})
        self._fit(
            "second",
            refinement,
            *data,
            lambda: refinement.adapt(data[0]),
            start,
        )
        return cascade

    def joint(self, cascade):
        """Both stages together, from the atoms."""
        start = time.process_time()
        self.training.set_state({"epoch": 0})
        cascade.stage.trainable = True
        data = self.training, self.validation
        self._fit("joint", cascade, *data, lambda: None, start)
        cascade.stage.trainable = False

    def _fit(self, part, model, training, validation, adapt, start):
        settings = self.settings
        unit = "seconds" if settings.steps is None else "steps"
        amount = self.budgets[part]
        budget = CosineBudget(
            settings.learning_rate(part),
            warmup_steps=settings.warmup_steps,
            start=start,
            **{unit: amount if unit == "seconds" else max(1, round(amount))},
        )
        revert = RevertOnSpike()
        self.curve.stage = part
        checkpoint = TrainingCheckpoint(
            self.folder / f"{part}.npz",
            [self.training, budget, self.curve, revert],
            settings.checkpoint_freq,
            self.fingerprint,
        )
        if checkpoint.is_finished:
            checkpoint.restore(model)
        else:
            if checkpoint.epoch:
                print(f"Goes on with epoch {checkpoint.epoch + 1} ({part}).")
            else:
                adapt()
            model.compile(
                self._optimizer(part),
                loss=LOSSES[settings.loss](),
                jit_compile=keras.config.backend() == "jax",
            )
            model.fit(
                training,
                validation_data=validation,
                validation_freq=settings.validation_freq,
                initial_epoch=checkpoint.epoch,
                epochs=10**9,
                shuffle=False,
                callbacks=[
                    budget,
                    BudgetBar(budget),
                    self.curve,
                    revert,
                    checkpoint,
                ],
                verbose=0,
            )
        self.steps[part] = budget.step

    def _optimizer(self, part):
        settings = self.settings
        decay = settings.second_weight_decay
        if part == "first":
            decay = settings.first_weight_decay
        options = {
            "learning_rate": settings.learning_rate(part),
            "global_clipnorm": settings.clipnorm,
        }
        if not decay:
            return keras.optimizers.Adam(**options)
        return keras.optimizers.AdamW(weight_decay=decay, **options)


def _first_stage(store, split, settings):
    """The untrained first stage, with the overlap of the data."""
    # Few structures of a set need keep their overlap; those that validate
    # serve as well, because it is exact in every one.
    names = [
        name
        for name in split.train + split.validate
        if store.pair_counts(name)["overlap"]
    ][:NUM_OVERLAPS]
    overlaps = [
        dataclasses.replace(
            store[name], hamiltonian=None, initial_hamiltonian=None
        )
        for name in names
    ]
    reaches = estimate_reaches(_listed_pairs(store, split.train, overlaps))
    # Of Keras' initializers; `keras.utils.set_random_seed` would import
    # TensorFlow too.
    random.seed(settings.seed)
    stage = stage_class("first")(
        store.basis.to_dict(),
        reaches,
        spin=store.spin,
        dtype=settings.dtype,
        **settings.first_options,
    )
    if overlaps:
        stage.overlap = TwoCentreOverlap.fit(overlaps, reaches)
    return stage


def _best_threshold(model, store, split):
    """Of `choose_overlap_threshold`; a model is kept whatever its bands."""
    try:
        return choose_overlap_threshold(
            model, (store[name] for name in split.validate)
        )
    except ValueError as error:
        warnings.warn(
            "Bands of the structures that validate could not be compared, so "
            f"predictions leave out no combination of orbitals. {error}",
            stacklevel=3,
        )
        return None, {}


def _listed_pairs(store, names, overlaps):
    """Structures whose pairs tell the reach; the Hamiltonians of large sets
    do not fit into memory."""
    known = {c.name: c for c in overlaps}
    for number, name in enumerate(names):
        if name in known:
            yield known[name]
        elif number < NUM_OVERLAPS:
            yield store[name]
