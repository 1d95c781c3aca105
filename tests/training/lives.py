"""Trains a small cascade in processes that are killed one after the other.

    python lives.py OUTPUT POINT,POINT,...

At each point a process kills itself; the last one is left to finish. Once
more without being killed, and once with checkpoints that do not know the
order of the data.
"""

import os
import pathlib
import signal
import sys

import numpy as np

import keras_hamiltonian as kh
from keras_hamiltonian.training.run import train_cascade

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
SETTINGS = {
    "steps": 30,
    "first_share": 0.5,
    "joint_share": 0.2,
    "warmup_steps": 2,
    "validation_freq": 2,
    "checkpoint_freq": 1,
    "first_options": {
        "irreps": "8x0e + 4x1o + 4x2e + 2x3o + 2x4e",
        "num_groups": 1,
        "num_gaussians": 8,
        "radial_units": [8, 8],
        "dropout": 0.05,
        "edge_dropout": 0.05,
    },
    "second_options": {
        "channels": 4,
        "hidden": 8,
        "num_blocks": 1,
        "irreps": "4x0e + 4x1o + 4x2e",
    },
}


def train(output, **settings):
    """One life."""
    store = kh.HamiltonianStore(DATA / "bilayer_graphene.h5")
    names = store.names
    split = kh.data.Split(names[:4], names[12:13], ())
    settings = kh.training.TrainingSettings(**{**SETTINGS, **settings})
    # The package's sources, which count otherwise, may be under work.
    fingerprint = settings.model_dump_json()
    return train_cascade(store, split, settings, output, fingerprint)


def die():
    """As if by `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)


def doom(point):
    """Makes this process die at a point of the training."""
    where, _, number = point.partition(":")
    if where == "step":  # counted over the stages of this life
        counter = iter(range(1, 10**6))
        budget = kh.callbacks.CosineBudget
        whole = budget.on_train_batch_end

        def on_train_batch_end(self, batch, logs=None):
            whole(self, batch, logs)
            if next(counter) == int(number):
                die()

        budget.on_train_batch_end = on_train_batch_end
    elif where == "write":  # while the n-th checkpoint is being written
        counter = iter(range(1, 10**6))
        savez = np.savez

        def half(file, **arrays):
            if next(counter) < int(number):
                return savez(file, **arrays)
            file.write(b"PK half a file")
            file.flush()
            die()

        np.savez = half
    elif where == "begin":  # before the n-th stage of this life begins
        counter = iter(range(1, 10**6))
        bar = kh.callbacks.BudgetBar
        begin = bar.on_train_begin

        def on_train_begin(self, logs=None):
            if next(counter) == int(number):
                die()
            begin(self, logs)

        bar.on_train_begin = on_train_begin
    elif where == "save":  # when all is trained
        kh.models.HamiltonianCascade.save = lambda *_, **__: die()


def forget():
    """A checkpoint that does not know the order of the data."""
    kh.HamiltonianDataset.get_state = lambda self: {"epoch": 0}


def live(output, points, prepare=lambda: None):
    """Lives until nothing kills."""
    for point in [*points, None]:
        child = os.fork()
        if not child:
            prepare()
            if point:
                doom(point)
            train(output)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        expected = signal.SIGKILL if point else 0
        if status != expected:
            raise SystemExit(f"{point}: ended with {status}, not {expected}")


def main(output, points):
    """Three trainings."""
    # What is imported before the fork is imported once.
    kh.models.EquivariantStage
    points = points.split(",")
    live(output / "uninterrupted", [])
    live(output / "killed", points)
    live(output / "forgetful", points[:1], forget)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
