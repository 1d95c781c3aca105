"""Trains a tiny cascade alone, in several processes or on several devices.

    python shared_training.py OUTPUT STRATEGY BATCH_SIZE KIND...

Kinds: `whole`, a training, which leaves the checkpoints of a step of its second
stage in `OUTPUT/resumed`; `resumed`, a training from there; `apart`, one whose
gradients are not shared; `first`, one of the first stage alone. Each leaves
`OUTPUT/KIND.json`: the error in meV so far in the epoch after each step, and
the steps of each stage.
"""

import json
import pathlib
import shutil
import sys
import time

import keras

# The tests' folders are on the path of pytest alone.
TESTS = pathlib.Path(__file__).parents[1]
sys.path += [str(TESTS), str(TESTS / "robustness"), str(TESTS.parent)]

import tiny_training  # noqa: E402
from small_crystals import crystal  # noqa: E402

import keras_hamiltonian as kh  # noqa: E402
from keras_hamiltonian import strategy  # noqa: E402
from keras_hamiltonian.optimizers import adamw  # noqa: E402
from keras_hamiltonian.training.cascade import CHECKPOINTS  # noqa: E402
from keras_hamiltonian.training.cascade import CascadeFit  # noqa: E402
from keras_hamiltonian.training.preparation import make_datasets  # noqa: E402
from keras_hamiltonian.training.preparation import make_first_stage  # noqa: E402

# One validates. Of the other five the last batch of two has no second one.
BONDS = (1.05, 1.1, 1.15, 1.2, 1.25, 1.3)
NETWORK = tiny_training.TINY["first_options"]
FIRST = {"first_options": NETWORK, "second_stage": "none"}
TINY = {
    name: tiny_training.TINY[name]
    for name in ("first_share", "warmup_steps", "checkpoint_freq")
}
# In the second stage, within an epoch.
KEPT_STEP = 42


class Errors(keras.callbacks.Callback):
    """Errors after every step; keeps what a training killed there leaves."""

    def __init__(self, folder):
        super().__init__()
        self.found = []
        self.folder = folder

    def on_train_batch_end(self, batch, logs=None):
        self.found.append(float(logs["mae"]))
        kept = self.folder.with_name("resumed") / CHECKPOINTS
        if len(self.found) == KEPT_STEP and not kept.exists():
            shutil.copytree(self.folder / CHECKPOINTS, kept)


def small_set(path):
    """A container of chains, of two and of four atoms."""
    crystals = []
    for number, d in enumerate(BONDS):
        ends = [(0.1, 1, 1), (0.1 + d, 1, 1)]
        if number % 2:
            ends += [(x + 2.2, y, z) for x, y, z in ends]
        symbols, cell = "HHe" * (len(ends) // 2), (1.1 * len(ends), 15, 15)
        crystals.append(
            crystal(symbols, ends, cell, name=f"{number:03}", num_electrons=2.0)
        )
    return kh.HamiltonianStore.write(path, crystals)


def all_losses(output):
    """Settings of three parts, and of all that is no sum over structures."""
    return {
        "first_options": {**NETWORK, "tracegrad": "trace"},
        "second_options": tiny_training.TINY["second_options"],
        "joint_share": 0.1,
        "k_loss": {"mesh": (4, 1, 1), "folder": str(output / "states")},
    }


def train(group, output, kind, batch_size):
    """One training."""
    path = output / "set.h5"
    if group.is_first and not path.exists():
        small_set(path)
    with group.in_turn():
        store = kh.HamiltonianStore(path)
    split = kh.data.Split(store.names[1:], store.names[:1], ())
    settings = kh.training.TrainingSettings(
        **TINY,
        steps=8 if kind == "apart" else 50,
        validation_freq=2,
        batch_size=batch_size,
        dtype="float64",
        **(FIRST if kind == "first" else all_losses(output)),
    )
    folder = output / kind
    errors = Errors(folder)
    fit = CascadeFit(
        *make_datasets(store, split, settings),
        settings,
        folder,
        "one",
        [errors],
        time.process_time(),
    )
    stage = make_first_stage(store, split, settings)
    fit.prepare(stage)
    fit.first(stage)
    if kind != "first":
        fit.joint(fit.second(stage))
    if group.is_first:
        value = stage.weights[0].value
        found = {
            "errors": errors.found,
            "steps": fit.steps,
            "devices": len(value.sharding.device_set)
            if keras.config.backend() == "jax"
            else 1,
        }
        (output / f"{kind}.json").write_text(json.dumps(found))


def main(output, name, batch_size, *kinds):
    """All trainings, one after the other."""
    with strategy.together(None if name == "none" else name) as group:
        for kind in kinds:
            if kind == "apart":
                adamw.total_gradients = lambda gradients, variables: gradients
            train(group, pathlib.Path(output), kind, int(batch_size))


if __name__ == "__main__":
    main(*sys.argv[1:])
