"""`kh.train`: from data to a tested model."""

import contextlib
import dataclasses
import functools
import os
import pathlib
import shutil
import time

import keras

from keras_hamiltonian.data.dataset import check_finite
from keras_hamiltonian.data.joined_store import JoinedStore
from keras_hamiltonian.data.splits import Split
from keras_hamiltonian.data.splits import join_splits
from keras_hamiltonian.data.splits import random_split
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.evaluation.report import REPORT
from keras_hamiltonian.files import locked
from keras_hamiltonian.files import replacing
from keras_hamiltonian.messages import counted
from keras_hamiltonian.messages import logger
from keras_hamiltonian.models.feature_file import stage_checksum
from keras_hamiltonian.models.loading import load_model
from keras_hamiltonian.strategy import current
from keras_hamiltonian.strategy import together
from keras_hamiltonian.structures.separation import separations
from keras_hamiltonian.training.cascade import CHECKPOINTS
from keras_hamiltonian.training.cascade import CascadeFit
from keras_hamiltonian.training.computed_initial import with_computed_initial
from keras_hamiltonian.training.fingerprint import content_checksum
from keras_hamiltonian.training.fingerprint import fingerprint
from keras_hamiltonian.training.fingerprint import finished_report
from keras_hamiltonian.training.preparation import check_overlaps
from keras_hamiltonian.training.preparation import complete_model
from keras_hamiltonian.training.preparation import make_datasets
from keras_hamiltonian.training.preparation import make_first_stage
from keras_hamiltonian.training.report import report_training
from keras_hamiltonian.training.settings import TrainingSettings
from keras_hamiltonian.training.start import Start
from keras_hamiltonian.training.start import check_takes_initial


def train(
    store,
    split=None,
    settings=None,
    folder=None,
    callbacks=(),
    name=None,
    stage=None,
    again=False,
    test_sets=None,
    num_predictions=None,
    start_from=None,
    workers=1,
    strategy="auto",
    **report,
):
    """Trains both stages, tests them, and keeps all in one folder.

    The first stage is trained, then the second on what the first has left.
    A training that was stopped, by a kill too, resumes when it is called again
    with the same arguments; with a budget of steps, on one backend and one
    thread, it ends in the same weights, bit for bit. One that is done is not
    repeated: its report is returned.

    Args:
        store: `HamiltonianStore`, or the path of a container or of a folder of
            calculations; or a list of them, for one model (`JoinedStore`).
        split: `Split`, or the path of one. Defaults to `<data>.split.json`
            beside the data; else one is drawn, 60 / 20 / 20 %, and kept in
            the folder. Several sets have each their own.
        settings: `TrainingSettings`. Defaults to `TrainingSettings()`.
        folder: str or path. For model, report, pictures, and predictions of
            the test structures. Defaults to `runs/<name>`.
        callbacks: list of `keras.callbacks.Callback`, which join the fit of
            every stage; or a function from `"first"`, `"second"`, `"joint"`
            to such a list. `val_loss` comes every `validation_freq` epochs,
            the learning rate is that of the budget. Checkpoints keep what
            `EarlyStopping`, `ModelCheckpoint` and callbacks with `get_state`
            and `set_state` remember; others begin anew when it resumes.
        name: str. Of the model's file. Defaults to that of the data.
        stage: trained first stage, or the path of its file: only the second
            is trained, with its share of the budget.
        again: bool. Repeats a training from the beginning.
        test_sets: dict from name to `HamiltonianStore`: structures of another
            kind, such as twisted ones, tested by themselves.
        num_predictions: int. Predictions that are written, of the first test
            structures. Defaults to all.
        start_from: str or path. The setting of this name.
        workers: int. Threads that compute H⁰, with `species`.
        strategy: who trains: `"ddp"`, the processes of `torchrun`;
            `"data_parallel"`, all devices of JAX; `None`, one; `"auto"`, the
            first where `torchrun` runs, else `None`. A step of k takes k times
            `batch_size` structures. See docs/many_devices.md.
        **report: arguments of `kh.evaluate`, and JSON values for the report.

    Returns:
        The report of `kh.evaluate`; `report["files"]["model"]` is the model.

    Raises:
        ValueError: if the folder holds another training or one that runs, the
            data do not fit the settings, or a part of the split is empty.

    Example:

    >>> settings = kh.training.TrainingSettings(steps=5000)  # doctest: +SKIP
    >>> report = kh.train("my_set.h5", settings=settings)    # doctest: +SKIP
    """
    start = time.process_time()
    settings = _settings(settings, start_from)
    with together(strategy) as group:
        run = _Run(store, split, settings, folder, name, stage, test_sets or {})
        # The first process keeps others out, not those that help it.
        with locked(run.folder) if group.is_first else contextlib.nullcontext():
            found = group.first(run.earlier_report(again))
            if found is not None:
                logger.info(
                    "Nothing has changed since this run (again=True, --again)."
                )
                return found
            with group.in_turn():
                store, split = run.open()
                store, seconds = run.with_initial(store, split, workers)
            place = run.settings, run.folder, run.fingerprint, run.name
            trained = train_cascade(
                store, split, *place, callbacks, run.stage, start + seconds
            )
            options = store, split, num_predictions, test_sets
            report = {"fingerprint": run.fingerprint, **report}
            with group.in_turn():
                if not group.is_first:
                    return run.earlier_report(again=False)
                return report_training(
                    trained, *options, **{"title": run.name, **report}
                )


@dataclasses.dataclass
class TrainedModel:
    """What `train_cascade` returns.

    Attributes:
        model: `HamiltonianCascade`, or the first stage where there is no
            second one.
        file: path of the `.keras` file.
        history: dict of lists, see `LearningCurve`; `stage` tells the stages
            apart.
        steps: dict. Optimizer steps of each stage, `"first"`, `"second"`,
            `"joint"`.
        cpu_seconds: float. Of all stages, reading and validation included,
            over all lives of the training; of the first process.
        checkpoints: path of the folder from which the training resumes.
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
    folder,
    fingerprint,
    name="cascade",
    callbacks=(),
    stage=None,
    start=None,
):
    """Trains and saves a model: `kh.train` without the test.

    Args:
        store, split, settings, folder, name, callbacks, stage: see `train`.
        fingerprint: str. Checksum of all that the training depends on, which
            checkpoints are marked with.
        start: float. Reading of `time.process_time()` at which the budget of
            seconds began. Defaults to now.

    Returns:
        `TrainedModel`. Of processes that train together (`kh.strategy`) the
        first one completes and saves it.

    Raises:
        ValueError: if the folder has the checkpoints of another training, or
            the data do not fit the settings, or there is nothing to train.

    Reference: Yin et al., arXiv 2401.00744, residual training.
    """
    folder = pathlib.Path(folder)
    # Those of the test too: not after the whole budget.
    names = *split.train, *split.validate, *split.test
    for structure in counted(names, "read"):
        check_finite(store[structure])
    saved, basis = None, None
    if settings.start_from is not None:
        saved = Start(settings)
        settings, basis = saved.settings, saved.basis(store)
    fit = CascadeFit(
        *make_datasets(store, split, settings, basis),
        settings,
        folder,
        fingerprint,
        callbacks,
        time.process_time() if start is None else start,
        saved,
    )
    is_given = stage is not None
    if not is_given:
        stage = make_first_stage(store, split, settings, saved)
    elif store.zeroth_step is not None:
        stage.zeroth_step = store.zeroth_step
    check_overlaps(stage, store, split.test)
    cells = _cells(store, split, stage)
    fit.prepare(stage)
    if not is_given:
        fit.first(stage)
    model = stage
    if settings.second_stage != "none":
        model = fit.second(stage)
    if settings.joint_share:
        fit.joint(model)
    trained = TrainedModel(
        model,
        folder / f"{name}.keras",
        fit.curve.history,
        fit.steps,
        fit.curve.cpu_seconds,
        fit.checkpoints,
    )
    if current().is_first:
        complete_model(
            model,
            store,
            split,
            saved and saved.model.provenance,
            settings=settings.model_dump(mode="json"),
            cells=cells,
            steps=trained.steps,
            cpu_seconds=round(trained.cpu_seconds, 1),
        )
        with replacing(trained.file) as place:
            model.save(place)
    return trained


def _cells(store, split, stage):
    """What the cells of the training set tell apart, for the provenance;
    says what they do not."""
    cells = separations(
        ((name, store.atoms(name)) for name in split.train),
        2 * max(stage.reaches.values()),
    )
    for crystal in cells:
        if not crystal.is_complete:
            logger.info(crystal.describe())
    return [crystal.to_dict() for crystal in cells]


class _Run:
    """What a training is made from, and where it goes."""

    def __init__(self, store, split, settings, folder, name, stage, test_sets):
        if isinstance(store, JoinedStore):
            store = list(store.stores.values())
        self.stores = store if isinstance(store, list | tuple) else [store]
        self.data = [pathlib.Path(getattr(s, "path", s)) for s in self.stores]
        self.names = [_name(path) for path in self.data]
        self.name = name or "+".join(self.names)
        self.folder = pathlib.Path(folder or pathlib.Path("runs", self.name))
        self._check_folder()
        self.settings = settings
        self.stage = stage
        if isinstance(stage, str | os.PathLike):
            self.stage = load_model(stage)
        if stage is not None and settings.start_from is not None:
            raise ValueError(
                "Give `stage`, which is not trained further, or `start_from`, "
                "not both."
            )
        # What is refused is refused before H⁰ of the set is computed.
        self.start = Start(settings) if settings.start_from else None
        if stage is not None:
            self.settings = _settings_of(self.stage, settings)
        self.splits = _find_splits(split, self.data)
        self.test_sets = test_sets

    @functools.cached_property
    def fingerprint(self):
        """Checksum of all that the run depends on."""
        return fingerprint(
            [
                *self.data,
                *self.settings.own_files(),
                *(test_set.path for test_set in self.test_sets.values()),
            ],
            split=[split and split.checksum for split in self.splits],
            stage=self.stage and stage_checksum(self.stage),
            settings=self.settings.model_dump(
                mode="json", exclude={"cache", "read_ahead"}
            ),
            backend=keras.config.backend(),
            zeroth_step=self.zeroth_step and self.zeroth_step.describe(),
        )

    @functools.cached_property
    def zeroth_step(self):
        """`ZerothStep` of the settings and of the model that is given."""
        settings, step = self.settings, None
        if settings.species is not None:
            from data_tools import species

            step = species.read_zeroth_step(
                settings.species, **settings.species_settings(), **self._layout
            )
        model = self.start.model if self.start else self.stage
        known = model and model.zeroth_step
        if step is None or known is None:
            return step or known
        return known.joined(step)

    @property
    def _layout(self):
        """Basis and spin of the data, which species files do not know."""
        numbers = range(len(self.stores))
        store = JoinedStore([self._open(k, again=False) for k in numbers])
        return {"basis": store.basis, "spin": store.spin}

    def _check_folder(self):
        for data in self.data:
            inside = self.folder.resolve().is_relative_to(data.resolve())
            if data.is_dir() and inside:
                raise ValueError(
                    f"The folder {self.folder} of the run lies in the data "
                    f"folder {data}, where its predictions would be taken for "
                    "calculations. Choose another one."
                )

    def earlier_report(self, again):
        """The report, if all is done; `None` if there is something to do.

        Raises:
            ValueError: if the folder holds another run.
        """
        if again:
            shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)
        if again or not (self.folder / REPORT).is_file():
            return None
        found = finished_report(self.folder, self.fingerprint)
        if found is None:
            raise ValueError(
                f"{self.folder} holds a run with other data, settings or "
                "version. Choose another folder, or replace it with "
                "again=True (--again)."
            )
        return found

    def open(self):
        """`HamiltonianStore` and `Split`, with something to train and test."""
        stores = [self._open(k) for k in range(len(self.stores))]
        store, splits = stores[0], self.splits
        if len(splits) == len(stores):
            seed = self.settings.seed
            splits = [
                found or random_split(part.names, seed=seed)
                for found, part in zip(splits, stores)
            ]
        split = splits[0]
        if len(stores) > 1:
            store = JoinedStore(stores)
            if len(splits) > 1:
                split = join_splits(dict(zip(store.stores, splits)))
        split.check_names(store.names)
        empty = [p for p in ("train", "test") if not getattr(split, p)]
        if empty:
            raise ValueError(
                f"No structure is left to {' and to '.join(empty)} on: the set "
                f"has {len(store)} structures, the split {split}. Give more "
                "structures, or another split."
            )
        if None in self.splits and current().is_first:
            data = [content_checksum(path) for path in self.data]
            split.write(self.folder / "split.json", data)
        return store, split

    def with_initial(self, store, split, workers):
        """The store, with H⁰ computed if there are species, and CPU seconds.

        H⁰ belongs to the data; computing it is not in the budget.
        """
        if self.zeroth_step is None:
            return store, 0.0
        if self.start is not None:
            known = self.zeroth_step.reaches
            symbols = known.keys() & set(store.basis.symbols)
            self.start.grown(store, {s: known[s] for s in symbols})
        self.zeroth_step.workers = workers
        now = time.process_time()
        store = with_computed_initial(
            store, split, self.zeroth_step, self.folder
        )
        return store, time.process_time() - now

    def _open(self, number, again=True):
        """One of the sets; a folder is converted if it is not, or `again`."""
        store, data = self.stores[number], self.data[number]
        if data.is_dir():
            from data_tools.convert import convert

            is_alone = len(self.data) == 1
            name = "data" if is_alone else self.names[number]
            store = self.folder / f"{name}.h5"
            if current().is_first and (again or not store.is_file()):
                convert(data, store)
        if not isinstance(store, HamiltonianStore):
            store = HamiltonianStore(store)
        return store


def _settings(settings, start_from):
    settings = settings or TrainingSettings()
    if start_from is not None:
        settings = settings.model_copy(update={"start_from": str(start_from)})
    if settings.freeze and settings.start_from is None:
        raise ValueError(
            "`freeze` keeps weights of a trained model: give it as well, "
            f"`start_from`. Received: {settings.freeze}."
        )
    return settings


def _settings_of(stage, settings):
    """The settings, with those that a given first stage has."""
    first = stage.stages()[0]
    if settings.second_stage == "none":
        raise ValueError(
            "The first stage is given, and the settings have no second one: "
            'there is nothing to train. Set second_stage="equivariant".'
        )
    initial = first.arguments.get("initial")
    is_given = "initial" in settings.model_fields_set
    if is_given and settings.initial != initial:
        raise ValueError(
            f"`initial` is that of the stage that is given, {initial!r}. "
            f"Received: {settings.initial!r}. Leave it out."
        )
    if settings.reaches:
        raise ValueError(
            "`reaches` are those of the stage that is given, "
            f"{first.reaches}. Received: {settings.reaches}. Leave it out."
        )
    check_takes_initial(first, settings, f"{stage.name!r}")
    return settings.model_copy(update={"initial": initial})


def _name(path):
    if not path.exists():
        raise ValueError(f"{path} does not exist.")
    return path.stem if path.is_file() else path.resolve().name


def _find_splits(split, data):
    """The `Split` that is given, in a list; or for each of the sets that
    beside it, `None` where one is to be drawn."""
    if split is None:
        beside = [path.with_suffix(".split.json") for path in data]
        return [Split.read(b) if b.is_file() else None for b in beside]
    if isinstance(split, str | os.PathLike):
        if not pathlib.Path(split).is_file():
            raise ValueError(f"There is no split file {split}.")
        split = Split.read(split)
    return [split]
