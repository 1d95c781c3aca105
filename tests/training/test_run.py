"""`kh.train`: trains what is not done, resumes, and takes what is one's own."""

import dataclasses
import json
import os
import pathlib

import keras
import numpy as np
import pytest
from tiny_training import TINY

import keras_hamiltonian as kh
from keras_hamiltonian.evaluation import report as report_module
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.training import fingerprint as fingerprints
from keras_hamiltonian.training.fingerprint import fingerprint
from keras_hamiltonian.training.fingerprint import finished_report
from keras_hamiltonian.training.preparation import make_first_stage

pytestmark = pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] != "torch", reason="every fit is compiled"
)
SETTINGS = {**TINY, "validation_freq": 1}
# What the report tells, and its pictures, are tested elsewhere.
CHEAP = {
    "num_spectra": 0,
    "num_rotations": 0,
    "largest_cell": 0,
    "num_k_points": 0,
    "num_predictions": 1,
}


@keras.saving.register_keras_serializable(package="test_run")
class FirstStage(kh.models.EquivariantStage):
    """A first stage with another default."""

    def __init__(self, basis, reaches, num_gaussians=4, **options):
        super().__init__(basis, reaches, num_gaussians=num_gaussians, **options)


@keras.saving.register_keras_serializable(package="test_run")
class SecondStage(kh.models.EquivariantTransformerStage):
    """A second stage with another default."""

    def __init__(self, basis, reaches, spin="none", channels=4, **options):
        super().__init__(basis, reaches, spin, channels=channels, **options)


class Recorder(keras.callbacks.Callback):
    """Which epochs began; with what a checkpoint asks for."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append((epoch, "val_loss" in logs))

    def get_state(self):
        return {"epochs": self.epochs}

    def set_state(self, state):
        self.epochs = [tuple(entry) for entry in state["epochs"]]


class Stop(keras.callbacks.Callback):
    """Ends a training as Ctrl+C does, in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.is_last = epoch == self.epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.is_last:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def blank_pictures(monkeypatch):
    def touch(*arguments):
        next(a for a in arguments if isinstance(a, pathlib.Path)).touch()

    for name in (
        "plot_block_errors",
        "plot_elements",
        "plot_learning_curve",
        "write_page",
    ):
        monkeypatch.setattr(report_module, name, touch)


@pytest.fixture(scope="module")
def store(data_folder, tmp_path_factory):
    """Primitive cells of graphene whose Hamiltonians differ a little."""
    cell = kh.HamiltonianStore(data_folder / "reference_graphene.h5")[0]
    path = tmp_path_factory.mktemp("data") / "small.h5"
    cells = []
    for number, name in enumerate("abcde"):
        h = cell.hamiltonian
        changed = BlockMatrix(
            h.atom_pairs, h.shapes, (1 + number / 50) * h.entries
        )
        cells.append(dataclasses.replace(cell, name=name, hamiltonian=changed))
    return kh.HamiltonianStore.write(path, cells)


SPLIT = kh.data.Split("ab", "c", "d")


def train(store, folder, callbacks=(), again=False, **settings):
    settings = kh.training.TrainingSettings(**{**SETTINGS, **settings})
    return kh.train(
        store, SPLIT, settings, folder, callbacks, again=again, **CHEAP
    )


def weights(folder):
    return kh.load_model(folder / "small.keras").get_weights()


def first_stage(store, **settings):
    """The first stage of a set, as a training makes it."""
    settings = kh.training.TrainingSettings(**{**SETTINGS, **settings})
    return make_first_stage(store, SPLIT, settings)


def test_orbitals_that_end_anywhere(store, tmp_path):
    """Pairs up to 6 Å, no multiple of half a bohr; then without those that
    are small, which no reaches explain."""

    def changed(name, is_listed):
        cells = []
        for cell in store:
            pairs = cell.overlap.atom_pairs
            lengths = np.linalg.norm(cell.edge_vectors(pairs), axis=1)
            chosen = is_listed(lengths)
            parts = {
                part: getattr(cell, part).select(chosen)
                for part in ("hamiltonian", "overlap")
            }
            cells.append(
                dataclasses.replace(cell, initial_hamiltonian=None, **parts)
            )
        return kh.HamiltonianStore.write(tmp_path / f"{name}.h5", cells)

    ends = changed("ends", lambda lengths: lengths < 6.0)
    stage = first_stage(ends)
    assert 2 * stage.reaches["C"] < 6.0
    atoms = ends.atoms("a")
    found = set(map(tuple, stage.overlap.atom_pairs(atoms).tolist()))
    assert found == set(ends["a"].overlap.index)
    dropped = changed("dropped", lambda r: (r < 3.0) | (r > 4.0))
    with pytest.raises(ValueError, match="`reaches` as the basis has them"):
        first_stage(dropped)
    assert first_stage(dropped, reaches={"C": 3.175}).reaches == {"C": 3.175}
    with pytest.raises(ValueError, match="`reaches` names Si; elements .* C"):
        first_stage(dropped, reaches={"Si": 3.175})
    with pytest.raises(ValueError, match="C and C up to 6.* overlap up to 5.0"):
        first_stage(dropped, reaches={"C": 2.5})


@pytest.mark.slow
def test_what_is_done_is_not_repeated(store, tmp_path, caplog):
    report = train(store, tmp_path)
    assert report["steps"] == {"first": 6, "second": 6}
    assert report["title"] == "small"
    assert report["files"]["model"] == "small.keras"
    assert not (tmp_path / "checkpoint").exists()
    errors = kh.evaluate(tmp_path / "small.keras", store, names="d")
    found = report["errors"]["mae_all"]
    assert errors["errors"]["mae_all"] == pytest.approx(found)
    caplog.clear()
    # A path is as good as a store.
    assert train(store.path, tmp_path) == report
    assert "Nothing has changed" in caplog.text
    with pytest.raises(ValueError, match="other data, settings or version"):
        train(store, tmp_path, seed=1)
    assert train(store, tmp_path, again=True, seed=1) != report


class Losses(keras.callbacks.Callback):
    """What the model is trained with beside the loss of its blocks."""

    found = ()

    def on_train_begin(self, logs=None):
        self.found += self.model.joint_losses


@pytest.mark.slow
@pytest.mark.parametrize("tracegrad", ["both", "gradient"])
def test_stages_with_trace_heads_learn_traces(store, tmp_path, tracegrad):
    losses = Losses()
    options = {
        part: {**SETTINGS[part], "tracegrad": tracegrad}
        for part in ("first_options", "second_options")
    }
    report = train(
        store, tmp_path, [losses], trace_weight=0.1, joint_share=0.2, **options
    )
    assert report["steps"] == {"first": 6, "second": 4, "joint": 2}
    weights = [loss.weight for loss in losses.found]
    assert weights == [0.1] * 3 if tracegrad == "both" else not weights


@pytest.mark.slow
def test_callbacks_join_every_fit(store, tmp_path):
    recorder = Recorder()
    train(store, tmp_path / "list", [recorder])
    # Two stages of six steps, two structures.
    assert recorder.epochs == 2 * [(0, True), (1, True), (2, True)]
    recorders = {}

    def callbacks(stage):
        recorders[stage] = Recorder()
        return [recorders[stage]]

    train(store, tmp_path / "function", callbacks)
    assert list(recorders) == ["first", "second"]
    assert recorders["second"].epochs == [(0, True), (1, True), (2, True)]
    for found, expected in zip(
        weights(tmp_path / "function"), weights(tmp_path / "list"), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="list of `keras.callbacks.Callback`"):
        train(store, tmp_path / "none", ["early stopping"])


def stopping(stage, *more):
    """Stops each stage two epochs after its best one."""
    early = keras.callbacks.EarlyStopping(
        patience=2, min_delta=1e6, restore_best_weights=True
    )
    return [early, Recorder(), *more]


@pytest.mark.slow
def test_callbacks_resume(store, tmp_path):
    """Stopped in the second epoch, `EarlyStopping` still counts the first."""
    report = train(store, tmp_path / "whole", stopping, steps=40)
    assert report["steps"] == {"first": 6, "second": 6}
    for stage, epoch in (("first", 1), ("second", 2)):
        ends = Stop(epoch)
        with pytest.raises(KeyboardInterrupt):
            train(
                store,
                tmp_path / "stopped",
                lambda part: stopping(part, *[ends] * (part == stage)),
                steps=40,
            )
    resumed = train(store, tmp_path / "stopped", stopping, steps=40)
    assert resumed["steps"] == report["steps"]
    found = resumed["errors"]["mae_all"]
    assert found == pytest.approx(report["errors"]["mae_all"], rel=1e-6)
    for found, expected in zip(
        weights(tmp_path / "stopped"), weights(tmp_path / "whole"), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_other_callbacks_do_not_fit_a_checkpoint(store, tmp_path, caplog):
    alone = {"second_stage": "none", "second_options": {}}
    with pytest.raises(KeyboardInterrupt):
        train(store, tmp_path, [Recorder(), Stop(1)], **alone)
    said = caplog.text
    assert "first.npz keeps the first 1 epochs (first)" in said
    assert "goes on from there" in said
    with pytest.raises(ValueError, match="the callbacks that the training be"):
        train(store, tmp_path, **alone)
    report = train(store, tmp_path, again=True, **alone)
    assert report["steps"] == {"first": 12}


@pytest.mark.slow
def test_stages_of_ones_own(store, tmp_path):
    options = dict(SETTINGS["first_options"])
    options.pop("num_gaussians")
    second = dict(SETTINGS["second_options"])
    second.pop("channels")
    train(
        store,
        tmp_path,
        first_stage="test_run:FirstStage",
        first_options=options,
        second_stage="test_run:SecondStage",
        second_options=second,
        steps=2,
    )
    model = kh.load_model(tmp_path / "small.keras")
    assert type(model.stage).__name__ == "FirstStage"
    assert model.stage.arguments["num_gaussians"] == 4
    assert type(model.refinement).__name__ == "SecondStage"
    assert model.refinement.arguments["channels"] == 4


@pytest.mark.slow
def test_a_given_first_stage_stays(store, tmp_path):
    alone = {"second_stage": "none", "second_options": {}}
    train(store, tmp_path / "first", **alone)
    stage = tmp_path / "first" / "small.keras"
    settings = kh.training.TrainingSettings(**{**SETTINGS, "steps": 4})
    report = kh.train(
        store, SPLIT, settings, tmp_path / "second", stage=stage, **CHEAP
    )
    assert report["steps"] == {"second": 2}
    model = kh.load_model(tmp_path / "second" / "small.keras")
    expected = kh.load_model(stage)
    expected.trainable = False
    for found, weight in zip(model.stage.get_weights(), expected.get_weights()):
        np.testing.assert_array_equal(found, weight)
    settings = kh.training.TrainingSettings(steps=4, second_stage="none")
    with pytest.raises(ValueError, match="nothing to train"):
        kh.train(store, SPLIT, settings, tmp_path / "none", stage=stage)


def test_a_drawn_split_is_kept(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"steps": 2, "second_stage": "none", "second_options": {}}
    settings = kh.training.TrainingSettings(**{**SETTINGS, **settings})
    report = kh.train(store.path, settings=settings, seed_of_mine=3, **CHEAP)
    folder = tmp_path / "runs" / "small"
    split = kh.data.Split.read(folder / "split.json", store.names)
    assert split == kh.data.random_split(store.names, seed=42)
    assert [s["name"] for s in report["errors"]["structures"]] == [*split.test]
    assert report["seed_of_mine"] == 3
    other = kh.data.Split("ax", "b", "c")
    with pytest.raises(ValueError, match="1 structures that are not in"):
        kh.train(store, other, settings, "other")
    assert not (tmp_path / "other").exists()


def test_a_run_is_finished_while_its_inputs_stay(tmp_path):
    data = tmp_path / "data.txt"
    data.write_text("one")
    before = fingerprint([data], seconds=3)
    assert fingerprint([data], seconds=3) == before
    assert fingerprint([data], seconds=4) != before
    content = {"fingerprint": before, "files": {"bands": "bands.png"}}
    (tmp_path / "report.json").write_text(json.dumps(content))
    assert finished_report(tmp_path, before) is None  # no picture
    (tmp_path / "bands.png").write_text("")
    assert finished_report(tmp_path, before) == content
    data.write_text("two")
    assert finished_report(tmp_path, fingerprint([data], seconds=3)) is None
    assert finished_report(tmp_path / "none", before) is None


def test_large_files_count_by_size_and_time(tmp_path, monkeypatch):
    data = tmp_path / "data.txt"
    data.write_text("one")
    monkeypatch.setattr(fingerprints, "LARGEST_READ", 2)
    before = fingerprint([data])
    os.utime(data, (0, 0))
    assert fingerprint([data]) != before


@pytest.mark.slow
def test_several_sets(store, tmp_path):
    """Each has its own split, and errors of its own."""
    others = [dataclasses.replace(c, name=c.name + "2") for c in store]
    other = kh.HamiltonianStore.write(tmp_path / "other.h5", others)
    kh.data.Split(["a2"], ["b2"], ["c2", "d2"]).write(
        tmp_path / "other.split.json"
    )
    settings = kh.training.TrainingSettings(**SETTINGS)
    folder = tmp_path / "run"
    report = kh.train([store, other.path], settings=settings, folder=folder)
    split = kh.data.Split.read(folder / "split.json")
    assert split.test[-2:] == ("other-c2", "other-d2")
    drawn = kh.data.random_split(store.names, seed=settings.seed)
    assert split.train == (*(f"small-{n}" for n in drawn.train), "other-a2")
    assert report["title"] == "small+other"
    sets = {k: v["errors"]["mae_all"] for k, v in report["sets"].items()}
    numbers = {"small": len(drawn.test), "other": 2}
    whole = sum(numbers[k] * sets[k] for k in sets) / sum(numbers.values())
    assert whole == pytest.approx(report["errors"]["mae_all"])
    assert "other: MAE_all" in kh.evaluation.summary(report)
    again = kh.train([store, other.path], settings=settings, folder=folder)
    assert again == report
