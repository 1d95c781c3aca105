"""Batches of calculations for `fit`, `evaluate` and `predict`."""

import keras
import numpy as np

from keras_hamiltonian.orbitals.table_blocks import table_mask
from keras_hamiltonian.orbitals.table_blocks import to_table
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within
from keras_hamiltonian.structures.triangles import common_neighbors


class HamiltonianDataset(keras.utils.PyDataset):
    """Calculations as batches whose first axis is the atom.

    Several structures are joined into one batch; each atom has its own padded
    list of neighbours: the pairs of the Hamiltonian or, without a Hamiltonian,
    all atoms whose orbitals reach each other.

    Args:
        calculations: sequence of `Calculation`: a list, or a
            `HamiltonianStore`, which is read one structure at a time.
        names: sequence of str. Names of structures of a store, in order.
            Defaults to all.
        basis: `OrbitalBasis` of the table of orbitals. Defaults to that of the
            calculations.
        reaches: dict. Reach of each element's orbitals in Å, by symbol, for
            structures without a Hamiltonian (`model.reaches`). If the first
            structure has none, no item has targets.
        batch_size: int. Structures per batch.
        shuffle: bool. Whether each epoch has its own order, a function of
            `seed` and the number of the epoch. Then call `fit` with
            `shuffle=False`: Keras would shuffle once more, by a generator
            that is in no checkpoint.
        seed: int. Seed of the order.
        atom_bucket, neighbor_bucket: int. Numbers of atoms and of neighbours
            are padded to multiples of these. Larger buckets give fewer
            different shapes, each of which is compiled anew on some backends.
            Default: 1 on torch, 8 elsewhere.
        cache: bool. Whether batches stay in memory.
        **kwargs: `workers`, `use_multiprocessing`, `max_queue_size` of
            `keras.utils.PyDataset`.

    Each item is `(inputs, targets, weights)`, or `(inputs,)` without
    Hamiltonians. Inputs:

    - `species` `(N,)` int32: index of the element in the basis; -1 padding.
    - `edge_vectors` `(N, M, 3)` Å; `neighbors`, `reverse_edge` `(N, M)`
      int32; `edge_mask` `(N, M)` float: see `NeighborTable`.
    - `structure` `(N,)` int32: which structure of the batch.
    - `common_neighbors` `(N, M + 1, M + 1)` int32: edges that end at the same
      atom, see `structures.common_neighbors`.

    Targets: `onsite` `(N, rows, rows)` and `hopping` `(N, M, rows, rows)` in
    eV; with spin `(…, 2, 2, 2, rows, rows)`. Weights have their shapes and are
    constant within a structure, zero where there is no orbital, and sum to
    one over a batch, so that a weighted sum of errors is the mean over
    structures of the mean over matrix elements.

    Raises:
        ValueError: if only some structures have a Hamiltonian, or none has
            and `reaches` is missing; for mixed spin layouts; for elements
            outside of the basis.
    """

    def __init__(
        self,
        calculations,
        names=None,
        basis=None,
        reaches=None,
        batch_size=1,
        shuffle=False,
        seed=0,
        atom_bucket=None,
        neighbor_bucket=None,
        cache=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.calculations = calculations
        self.keys = _keys(calculations, names)
        first = calculations[self.keys[0]]
        self.basis = basis or getattr(calculations, "basis", first.basis)
        self.spin = first.spin
        self.reaches = reaches
        self.has_targets = first.hamiltonian is not None
        self.batch_size = batch_size
        self.shuffle = shuffle
        default = 1 if keras.config.backend() == "torch" else 8
        self.atom_bucket = atom_bucket or default
        self.neighbor_bucket = neighbor_bucket or default
        self.seed = seed
        self._cache = {} if cache else None
        self._order = np.arange(len(self.keys))
        self.set_state({"epoch": 0})

    def __len__(self):
        return -(-len(self.keys) // self.batch_size)

    def __getitem__(self, position):
        start = position * self.batch_size
        members = tuple(self._order[start : start + self.batch_size].tolist())
        if position == 1 and keras.config.backend() == "tensorflow":
            # TensorFlow takes the sizes that vary from the first two batches.
            others = self[0][0]["neighbors"].shape
            return self._batch(members, others)
        if self._cache is None:
            return self._batch(members)
        if members not in self._cache:
            self._cache[members] = self._batch(members)
        return self._cache[members]

    def on_epoch_end(self):
        """Draws the order of the next epoch."""
        self.set_state({"epoch": self._epoch + 1})

    def get_state(self):
        """State of the order, besides the seed: dict with `epoch`."""
        return {"epoch": self._epoch}

    def set_state(self, state):
        """Takes the order of an epoch; see `get_state`."""
        self._epoch = int(state["epoch"])
        if not self.shuffle:
            return
        random = np.random.default_rng((self.seed, self._epoch))
        self._order = random.permutation(len(self.keys))
        # Batches of several structures change with the order.
        if self.batch_size > 1 and self._cache is not None:
            self._cache.clear()

    def structure_names(self, position):
        """Names of the structures in a batch of the present order."""
        start = position * self.batch_size
        members = self._order[start : start + self.batch_size]
        return [str(self.keys[k]) for k in members]

    def _batch(self, members, other_shape=None):
        calculations = [self.calculations[self.keys[k]] for k in members]
        for calculation in calculations:
            self._check(calculation)
        tables = [self._neighbors(c) for c in calculations]
        inputs = batch_inputs(
            [c.atoms for c in calculations],
            tables,
            self.basis,
            self.atom_bucket,
            self.neighbor_bucket,
            other_shape,
        )
        if not self.has_targets:
            return (inputs,)
        targets = self._targets(calculations, tables, inputs)
        weights = batch_weights(inputs, self.basis, self.spin)
        return inputs, targets, weights

    def _neighbors(self, calculation):
        if calculation.hamiltonian is not None:
            pairs = calculation.hamiltonian.atom_pairs
        else:
            pairs = pairs_within(calculation.atoms, self.reaches)
        return neighbor_table(calculation.atoms, pairs)

    def _targets(self, calculations, tables, inputs):
        size, width = inputs["neighbors"].shape
        rows = self.basis.num_rows
        spinful = self.spin != "none"
        inner = (2, 2, 2, rows, rows) if spinful else (rows, rows)
        onsite = np.zeros((size, *inner), keras.config.floatx())
        hopping = np.zeros((size, width, *inner), keras.config.floatx())
        start = 0
        for calculation, table in zip(calculations, tables):
            stop = start + len(calculation.atoms)
            h = calculation.hamiltonian
            arguments = (h, calculation.atoms.numbers, self.basis, spinful)
            found = [
                h.index.get((0, 0, 0, i, i), -1) for i in range(stop - start)
            ]
            onsite[start:stop] = to_table(*arguments, np.array(found))
            m = table.neighbors.shape[1]
            hopping[start:stop, :m] = to_table(*arguments, table.pair_positions)
            start = stop
        return {"onsite": onsite, "hopping": hopping}

    def _check(self, calculation):
        if calculation.hamiltonian is None:
            if self.has_targets:
                raise ValueError(
                    f"Structure {calculation.name!r} has no Hamiltonian to "
                    "learn from, others have one. Leave it out of `names`, or "
                    "predict it with another data set."
                )
            if self.reaches is None:
                raise ValueError(
                    f"Structure {calculation.name!r} has no Hamiltonian, so "
                    "its atom pairs are not known. To train, choose "
                    "structures with a Hamiltonian; to predict, give "
                    "reaches=model.reaches."
                )
        if calculation.spin != self.spin:
            raise ValueError(
                f"Structure {calculation.name!r} has spin="
                f"{calculation.spin!r}, the first one {self.spin!r}. Train "
                "one model per spin layout."
            )
        if not self.basis.covers(calculation.basis):
            raise ValueError(
                f"Structure {calculation.name!r} has the basis "
                f"{calculation.basis.to_dict()}, which the basis "
                f"{self.basis.to_dict()} does not cover."
            )


def batch_inputs(
    atoms_list,
    tables,
    basis,
    atom_bucket=1,
    neighbor_bucket=1,
    other_shape=None,
):
    """Joins structures into the inputs of a model.

    Args:
        atoms_list: list of `ase.Atoms`.
        tables: list of `NeighborTable`, one for each.
        basis: `OrbitalBasis`.
        atom_bucket, neighbor_bucket: int. Pad to multiples of these.
        other_shape: two ints. Numbers of atoms and of neighbours that the
            batch must not have: it is padded to others.

    Returns:
        Dict of arrays, as `HamiltonianDataset` describes them.

    Raises:
        ValueError: if an element is not in the basis.
    """
    size = _round_up(sum(len(a) for a in atoms_list), atom_bucket)
    width = _round_up(
        max(t.neighbors.shape[1] for t in tables), neighbor_bucket
    )
    if other_shape is not None:
        size += atom_bucket * (size == other_shape[0])
        width += neighbor_bucket * (width == other_shape[1])
    inputs = {
        "species": np.full(size, -1, "int32"),
        "edge_vectors": np.tile(
            np.array([0.0, 0.0, 1.0], keras.config.floatx()), (size, width, 1)
        ),
        "neighbors": np.repeat(np.arange(size, dtype="int32"), width).reshape(
            size, width
        ),
        "reverse_edge": np.arange(size * width, dtype="int32").reshape(
            size, width
        ),
        "edge_mask": np.zeros((size, width), keras.config.floatx()),
        "structure": np.full(size, len(atoms_list), "int32"),
    }
    start = 0
    for number, (atoms, table) in enumerate(zip(atoms_list, tables)):
        stop = start + len(atoms)
        m = table.neighbors.shape[1]
        where = (slice(start, stop), slice(0, m))
        inputs["species"][start:stop] = _species(atoms, basis)
        inputs["structure"][start:stop] = number
        inputs["edge_vectors"][where] = table.edge_vectors
        inputs["edge_mask"][where] = table.edge_mask
        inputs["neighbors"][where] = np.where(
            table.edge_mask, table.neighbors + start, inputs["neighbors"][where]
        )
        row, column = np.divmod(table.reverse_edge, m)
        inputs["reverse_edge"][where] = (row + start) * width + column
        start = stop
    inputs["common_neighbors"] = common_neighbors(
        inputs["edge_vectors"], inputs["neighbors"], inputs["edge_mask"]
    )
    return inputs


def batch_weights(inputs, basis, spin):
    """Weights of matrix elements: zero at padding, sum one.

    Args:
        inputs: dict, as `batch_inputs` returns it.
        basis: `OrbitalBasis`.
        spin: str. Spin layout of the blocks.

    Returns:
        Dict with `onsite` and `hopping`, shaped as the targets.
    """
    species = inputs["species"]
    neighbor_species = np.where(
        inputs["edge_mask"] > 0, species[inputs["neighbors"]], -1
    )
    onsite = table_mask(species, species, basis)
    own = np.broadcast_to(species[:, None], neighbor_species.shape)
    hopping = table_mask(own, neighbor_species, basis)
    factor = 1 if spin == "none" else 8
    structure = inputs["structure"]
    counts = onsite.sum((1, 2)) + hopping.sum((1, 2, 3))
    num_structures = int(structure[species >= 0].max()) + 1
    totals = np.bincount(structure, counts, minlength=num_structures + 1)
    share = 1 / (factor * num_structures * np.maximum(totals, 1))
    share = share[structure]
    weights = {
        "onsite": onsite * share[:, None, None],
        "hopping": hopping * share[:, None, None, None],
    }
    rows = basis.num_rows
    for name, weight in weights.items():
        weight = weight.astype(keras.config.floatx())
        if spin != "none":
            shape = weight.shape[:-2]
            weight = np.broadcast_to(
                weight[..., None, None, None, :, :],
                (*shape, 2, 2, 2, rows, rows),
            )
        weights[name] = weight
    return weights


def _species(atoms, basis):
    known = basis.species
    missing = sorted(set(atoms.numbers.tolist()) - set(known))
    if missing:
        # Raises an error that names the element and the basis.
        basis.num_orbitals(missing[0])
    return np.array([known[z] for z in atoms.numbers], "int32")


def _round_up(number, bucket):
    return -(-number // bucket) * bucket


def _keys(calculations, names):
    if names is None:
        names = getattr(calculations, "names", range(len(calculations)))
    keys = list(names)
    if not keys:
        raise ValueError("A data set needs at least one structure.")
    return keys
