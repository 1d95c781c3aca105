"""Active against random choice, with last linear maps fitted in closed form.

    python recipes/active_refit.py graphene.h5 cells.h5 --networks a.keras

Beside each set lies its split: the pool are the structures that it trains on,
of all sets, the test those that it tests. Each network, a first stage without
projectors, was trained on a few structures of the pool. In each round some are
added, chosen by `kh.selection` or drawn at random, and the last linear maps of
the network are fitted anew to all that is known, which takes no training: many
draws are cheap, and only the choice differs. Writes results.json and a picture
of the errors of each set. `active_learning.py` trains the whole network.
"""

import argparse
import json
import pathlib

import keras
import numpy as np

import keras_hamiltonian as kh

from keras_hamiltonian.data.splits import join_splits
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.irreps.rotation import edge_frames

MEV_PER_EV = kh.conventions.MEV_PER_EV
# Of a fit, relative to the mean square of the features.
RIDGE = 1e-4


def main(options):
    """All rounds with all networks, and the picture."""
    store = kh.data.JoinedStore(options.sets)
    files = [path.with_suffix(".split.json") for path in options.sets]
    split = join_splits(dict(zip(store.stores, map(kh.data.Split.read, files))))
    results = []
    for file in options.networks:
        refit = Refit(kh.load_model(file), store, split, options.number)
        results.append({"network": str(file), "sets": list(store.stores)})
        results[-1]["active"], chosen = refit.active(options.rounds)
        results[-1]["chosen"] = chosen
        results[-1]["random"] = [
            refit.random(options.rounds, seed) for seed in range(options.draws)
        ]
        print(file, *chosen[: options.number])
        for choice in ("active", "random"):
            found = np.array(results[-1][choice])
            print(choice, found.reshape(-1, *found.shape[-2:]).mean(0).round(2))
    text = json.dumps(results, indent=1) + "\n"
    kh.files.write_text(options.output / "results.json", text)
    draw(results, options, options.output / "active_refit.png")


class Refit:
    """A network whose last linear maps are fitted to any structures."""

    def __init__(self, model, store, split, number):
        self.number = number
        self.start = list(model.provenance["structures"])
        self.pool = [name for name in split.train if name not in self.start]
        self.test = {name: store.set_of(name) for name in split.test}
        names = [*self.start, *self.pool, *self.test]
        self.sums = dict(zip(names, _sums(model, store, names)))
        atoms = (store.atoms(name) for name in [*self.start, *self.pool])
        features = kh.selection.atom_features(model, atoms)
        self.features = dict(zip([*self.start, *self.pool], features))

    def active(self, rounds):
        """Errors of each round, see `errors`, and the names in their order."""
        chosen = kh.selection.choose(
            [self.features[name] for name in self.pool],
            [self.features[name] for name in self.start],
            rounds * self.number,
        )
        names = [self.pool[choice.index] for choice in chosen]
        return self.errors(names), names

    def random(self, rounds, seed):
        """Errors of each round, see `errors`."""
        order = np.random.default_rng(seed).permutation(len(self.pool))
        return self.errors(
            [self.pool[k] for k in order[: rounds * self.number]]
        )

    def errors(self, names):
        """Root mean square error of each set after each round, meV."""
        found = []
        for count in range(0, len(names) + 1, self.number):
            fitted = self._fit([*self.start, *names[:count]])
            sets = {}
            for name, of_set in self.test.items():
                sets.setdefault(of_set, []).append(self._error(name, fitted))
            found.append([float(np.mean(x)) for x in sets.values()])
        return found

    def _fit(self, names):
        fitted = {}
        for kind in self.sums[names[0]]:
            gram, product = (
                sum(self.sums[name][kind][k] for name in names) for k in (0, 1)
            )
            ridge = RIDGE * np.trace(gram, axis1=1, axis2=2) / gram.shape[1]
            gram = gram + ridge[:, None, None] * np.eye(gram.shape[1])
            fitted[kind] = np.linalg.solve(gram, product[:, :, None])[:, :, 0]
        return fitted

    def _error(self, name, fitted):
        total = count = 0
        for kind, (gram, product, square, size) in self.sums[name].items():
            x = fitted[kind]
            total += square - 2 * (x * product).sum()
            total += np.einsum("ci,cij,cj->", x, gram, x)
            count += size
        return MEV_PER_EV * np.sqrt(total / count)


def _sums(model, store, names):
    """What fits and errors need of each structure.

    Yields:
        Dict from kind of channel to Σ s²xxᵀ and Σ sxy of each channel, Σ y²,
        and the number of y: features x, scales s, and y, what the network
        leaves of H in this channel, eV.
    """
    stage, readout = model, model.readout
    found = stage.backbone(stage.input)
    atoms, edges = readout._normed(stage.input, found)
    scales = readout.baseline(
        found["geometry"]["relative"],
        *(stage.input[key] for key in ("species", "neighbors", "edge_mask")),
        found["geometry"]["wigner"],
    )
    outputs = {f"edges_{kind}": x for kind, x in edges.items()}
    outputs["atoms"] = atoms
    for name in ("onsite", "hopping"):
        outputs[name] = stage.output[name]
        outputs[f"{name}_scale"] = scales[f"{name}_scale"]["scalar"]
    network = keras.Model(stage.input, outputs)
    irreps = Irreps(stage.backbone.irreps_out[-1])
    for name in names:
        dataset = kh.HamiltonianDataset([store[name]], basis=model.basis)
        inputs, targets, _ = dataset[0]
        computed = network.predict_on_batch(inputs)
        computed = {k: np.asarray(x, np.float64) for k, x in computed.items()}
        left = {name: targets[name] - computed[name] for name in targets}
        yield {
            **_onsite_sums(readout.onsite.layout, irreps, computed, left),
            **_hopping_sums(readout.hopping.layout, inputs, computed, left),
        }


def _onsite_sums(layout, irreps, computed, left):
    coupling = layout.onsite["scalar"]
    wanted, found = coupling.to_irreps(left["onsite"]), {}
    features = {
        irrep: computed["atoms"][:, where].reshape(-1, mul)
        for (mul, irrep), where in zip(irreps, irreps.slices())
    }
    for (mul, irrep), where in zip(coupling.irreps, coupling.irreps.slices()):
        x = features[irrep]
        if str(irrep) == "0e":
            x = np.column_stack([x, np.ones(len(x))])
        y = wanted[:, where].reshape(-1, mul)
        s = computed["onsite_scale"][:, where].reshape(-1, mul)
        found[f"onsite {irrep}"] = _channel_sums(x, y, s)
    return found


def _hopping_sums(layout, inputs, computed, left):
    is_edge = np.asarray(inputs["edge_mask"]) > 0
    frames = edge_frames(np.asarray(inputs["edge_vectors"])[is_edge])
    blocks = left["hopping"][is_edge]
    channels = layout.edge_channels("scalar", blocks, frames)
    ends = np.cumsum([y.shape[-1] for y in channels.values()])[:-1]
    scales = np.split(computed["hopping_scale"][is_edge], ends, axis=1)
    found = {}
    for (kind, y), s in zip(channels.items(), scales):
        x = computed[f"edges_{kind}"][is_edge]
        s = np.broadcast_to(s[:, None], y.shape)
        rows = (array.reshape(-1, array.shape[-1]) for array in (x, y, s))
        found[f"hopping {kind}"] = _channel_sums(*rows)
    return found


def _channel_sums(x, y, s):
    grams = np.stack([(x.T * weight) @ x for weight in (s * s).T])
    return grams, (x.T @ (s * y)).T, (y * y).sum(), y.size


def draw(results, options, file):
    """Error against number of calculations: mean over the networks.

    The grey band is the standard deviation over draws and networks, of the
    difference from the mean of each network.
    """
    import matplotlib.pyplot as plt

    sets = results[0]["sets"]
    active = np.array([found["active"] for found in results]).mean(axis=0)
    random = np.array([found["random"] for found in results])
    mean = random.mean(axis=(0, 1))
    band = (random - random.mean(axis=1, keepdims=True)).std(axis=(0, 1))
    counts = options.number * np.arange(len(mean))
    sets = [name for name, x in zip(sets, active.T) if np.isfinite(x).all()]
    _, axes = plt.subplots(1, len(sets), figsize=(2.6 * len(sets), 2.6))
    for k, axis in enumerate(np.atleast_1d(axes)):
        low, high = mean[:, k] - band[:, k], mean[:, k] + band[:, k]
        axis.fill_between(counts, low, high, color="0.85", linewidth=0)
        axis.plot(counts, mean[:, k], "-", color="0.4", label="random")
        axis.plot(counts, active[:, k], "o-", color="tab:red", label="active")
        axis.set(title=sets[k], xlabel="calculations added")
    np.atleast_1d(axes)[0].set_ylabel("RMSE (meV)")
    np.atleast_1d(axes)[0].legend(frameon=False)
    plt.tight_layout()
    plt.savefig(file, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    path = {"type": pathlib.Path}
    parser.add_argument("sets", nargs="+", **path)
    parser.add_argument("--networks", nargs="+", required=True, **path)
    parser.add_argument("--number", type=int, default=3, help="per round")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--draws", type=int, default=20, help="random choices")
    output = pathlib.Path("runs/active_refit")
    parser.add_argument("--output", default=output, **path)
    main(parser.parse_args())
