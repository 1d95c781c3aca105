"""Active choice of calculations against random choice, where all are known.

    python recipes/active_learning.py graphene.h5 cells.h5 large.h5

Beside each set lies its split: the pool are the structures that it trains on,
of all sets, the test those that it tests. For every seed a small network is
trained on a few structures of the pool, drawn at random. In each round some
are added, chosen by `kh.selection.propose` or at random, and the network of
the round before is trained further on all that are known. Both kinds of
choice have the same first network, numbers and steps. Writes results.json and
a picture of the errors of each set.
"""

import argparse
import json
import pathlib

import numpy as np

import keras_hamiltonian as kh

from keras_hamiltonian.data.splits import join_splits
from keras_hamiltonian.training.run import train_cascade

MEV_PER_EV = kh.conventions.MEV_PER_EV
# A network that learns in a minute.
NETWORK = {"irreps": "32x0e + 16x1o + 8x2e", "num_groups": 2, "projectors": ""}
COLORS = {"active": "tab:red", "random": "tab:grey"}


def main(options):
    """All rounds of all seeds, and the picture."""
    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output / "results.json"
    results = {}
    for seed in options.seeds:
        for choice, found in Race(options, seed).rounds():
            results.setdefault(f"{choice} {seed}", []).append(found)
            kh.files.write_text(file, json.dumps(results, indent=1) + "\n")
            errors = {k: round(x, 3) for k, x in found["errors"].items()}
            print(choice, seed, len(found["train"]), errors, flush=True)
    draw(results, options.output / "active_learning.png")


class Race:
    """Both kinds of choice, from one first network."""

    def __init__(self, options, seed):
        self.options, self.seed = options, seed
        self.store = kh.data.JoinedStore(options.sets)
        splits = [p.with_suffix(".split.json") for p in options.sets]
        parts = dict(zip(self.store.stores, map(kh.data.Split.read, splits)))
        split = join_splits(parts)
        order = np.random.default_rng(seed).permutation(len(split.train))
        self.pool = [split.train[k] for k in order]
        self.test = split.test

    def rounds(self):
        """Yields the kind of choice; names that train, errors in meV."""
        start = self.pool[: self.options.start]
        first = self.trained(start, self.options.first_steps)
        errors = self.errors(first)
        for choice in COLORS:
            yield choice, {"train": start, "errors": errors}
            names, model = start, first
            for _ in range(self.options.rounds):
                names = names + self.chosen(choice, names, model)
                model = self.trained(names, self.options.steps, model)
                yield choice, {"train": names, "errors": self.errors(model)}

    def chosen(self, choice, names, model):
        """Names of the structures that come next."""
        left = [name for name in self.pool if name not in names]
        if choice == "random":
            return left[: self.options.number]
        found = kh.selection.propose(
            model.model,
            (self.store.atoms(name) for name in left),
            (self.store.atoms(name) for name in names),
            self.options.number,
        )
        return [left[chosen.index] for chosen in found]

    def trained(self, names, steps, start=None):
        """A network after some steps, and after those of `start`."""
        options = {"steps": steps, "second_stage": "none", "seed": self.seed}
        if start is None:
            options["first_options"] = NETWORK
        else:
            options["start_from"] = str(start.file)
        settings = kh.training.TrainingSettings(**options, checkpoint_freq=1000)
        split = kh.data.Split(names, [], [])
        number = len(list(self.options.output.glob("model_*")))
        folder = self.options.output / f"model_{number:03d}"
        return train_cascade(self.store, split, settings, folder, "active")

    def errors(self, trained):
        """Mean error of each set's test structures, in meV."""
        report = kh.evaluate(trained.model, self.store, names=self.test)
        found = {}
        for one in report["errors"]["structures"]:
            name = self.store.set_of(one["name"])
            found.setdefault(name, []).append(MEV_PER_EV * one["mae"])
        return {name: float(np.mean(x)) for name, x in found.items()}


def draw(results, file):
    """Error against number of calculations: seeds thin, their mean thick."""
    import matplotlib.pyplot as plt

    sets = list(next(iter(results.values()))[0]["errors"])
    _, axes = plt.subplots(1, len(sets), figsize=(3.2 * len(sets), 2.8))
    for axis, name in zip(np.atleast_1d(axes), sets):
        for choice, color in COLORS.items():
            runs = [x for key, x in results.items() if key.startswith(choice)]
            counts = [len(found["train"]) for found in runs[0]]
            errors = np.array(
                [[found["errors"][name] for found in run] for run in runs]
            )
            axis.plot(counts, errors.T, color=color, linewidth=0.6)
            axis.plot(
                counts, errors.mean(axis=0), "o-", color=color, label=choice
            )
        axis.set(title=name, xlabel="calculations", ylabel="MAE (meV)")
    np.atleast_1d(axes)[0].legend(frameon=False)
    plt.tight_layout()
    plt.savefig(file, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sets", type=pathlib.Path, nargs="+")
    parser.add_argument("--start", type=int, default=4, help="structures")
    parser.add_argument("--number", type=int, default=3, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--first-steps", type=int, default=300)
    parser.add_argument("--steps", type=int, default=120, help="of a round")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    output = pathlib.Path("runs/active_learning")
    parser.add_argument("--output", type=pathlib.Path, default=output)
    main(parser.parse_args())
