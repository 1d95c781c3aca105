"""Batches of calculations for `fit`, `evaluate` and `predict`."""

import concurrent.futures

import keras
import numpy as np

from keras_hamiltonian.data.batch import batch_blocks
from keras_hamiltonian.data.batch import batch_inputs
from keras_hamiltonian.data.batch import batch_weights
from keras_hamiltonian.orbitals.gauge import aligned
from keras_hamiltonian.orbitals.gauge import gauge_shift
from keras_hamiltonian.orbitals.gauge import shifted
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within


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
        read_ahead: int. Batches to come that threads read meanwhile, one each:
            for sets that do not stay in memory.
        initial: bool. Whether inputs hold H⁰, the zeroth-step Hamiltonian, for
            models that take it (`model.takes_initial`). Targets are then
            H - μS, in the energy zero of H⁰: μ of each structure from
            `gauge_shift`, zero where there is no overlap.
        overlap: function from `ase.Atoms` to the overlap of a structure that
            comes without one, such as `model.overlap`.
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
    - with `initial`, `initial_onsite` and `initial_hopping`, shaped as the
      targets, eV.

    Targets: `onsite` `(N, rows, rows)` and `hopping` `(N, M, rows, rows)` in
    eV; with spin `(…, 2, 2, 2, rows, rows)`. Weights have their shapes and are
    constant within a structure, zero where there is no orbital, and sum to
    one over a batch, so that a weighted sum of errors is the mean over
    structures of the mean over matrix elements. A structure counts once,
    whatever its size and the set it is from (`JoinedStore`): the loss is
    MAE_all, an error of 1 meV is one everywhere. A set of more structures, or
    of larger errors, has the larger part in the gradient; what the network
    adds is scaled by the spread of each pair of elements
    (`TwoCentreBaseline`), so that it need not learn how large that is.

    Raises:
        ValueError: if only some structures have a Hamiltonian, or none has
            and `reaches` is missing; for mixed spin layouts; for elements
            outside of the basis; for NaN in a matrix, when it is read.
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
        read_ahead=0,
        initial=False,
        overlap=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.initial = initial
        self.overlap = overlap
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
        self.read_ahead = read_ahead
        if read_ahead and (self.workers > 1 or self.use_multiprocessing):
            raise ValueError(
                "`read_ahead` has threads of its own: leave out `workers` and "
                "`use_multiprocessing` of Keras."
            )
        self._ahead, self._threads = {}, None
        self._order = np.arange(len(self.keys))
        self.take_part(0, 1)
        self.set_state({"epoch": 0})

    def take_part(self, number, num_parts):
        """Takes one of equal parts of every batch: that of one process.

        Batches are `num_parts` times as large, and this one gives
        `batch_size` structures of each: every so many, beginning with
        `number`. Its weights sum to its part of the structures. Where the last
        batch has none left for it, it gives the first one, without weight.

        Args:
            number, num_parts: ints. Which part, and of how many.
        """
        if self._cache and self._part != (number, num_parts):
            self._cache.clear()
        self._part = number, num_parts

    def __len__(self):
        return -(-len(self.keys) // (self.batch_size * self._part[1]))

    def __getitem__(self, position):
        key = self._key(position)
        if position == 1 and keras.config.backend() == "tensorflow":
            # TensorFlow takes the sizes that vary from the first two batches.
            others = self[0][0]["neighbors"].shape
            return self._batch(*key, others)
        if self._cache is not None and key in self._cache:
            return self._cache[key]
        batch = self._read(position) if self.read_ahead else self._batch(*key)
        if self._cache is not None:
            self._cache[key] = batch
        return batch

    def _read(self, position):
        """A batch; those that follow it are read meanwhile."""
        if self._threads is None:
            self._threads = concurrent.futures.ThreadPoolExecutor(
                self.read_ahead
            )
        last = min(position + self.read_ahead, len(self) - 1)
        keys = [self._key(k) for k in range(position, last + 1)]
        cached = self._cache or ()
        self._ahead = {
            key: self._ahead.get(key) or self._threads.submit(self._batch, *key)
            for key in keys
            if key not in cached
        }
        return self._ahead.pop(keys[0]).result()

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
        return [str(self.keys[k]) for k in self._members(position)]

    def share(self, position):
        """Fraction of the structures of a whole batch that are given here."""
        whole, own = self._structures(position)
        return len(own) / len(whole)

    def _structures(self, position):
        """Indices of a whole batch, and of the part that is taken."""
        number, num_parts = self._part
        size = self.batch_size * num_parts
        whole = self._order[position * size : (position + 1) * size].tolist()
        return whole, whole[number::num_parts]

    def _key(self, position):
        return self._members(position), self.share(position)

    def _members(self, position):
        whole, own = self._structures(position)
        return tuple(own or whole[:1])

    def _batch(self, members, share, other_shape=None):
        calculations = [self.calculations[self.keys[k]] for k in members]
        for calculation in calculations:
            self._check(calculation)
        atoms = [c.atoms for c in calculations]
        pairs = [self._pairs(c) for c in calculations]
        tables = [neighbor_table(a, p) for a, p in zip(atoms, pairs)]
        is_spinful = calculations[0].is_spinful
        inputs = batch_inputs(
            atoms,
            tables,
            self.basis,
            self.atom_bucket,
            self.neighbor_bucket,
            other_shape,
            [_initial(c) for c in calculations] if self.initial else None,
            is_spinful,
        )
        if not self.has_targets:
            return (inputs,)
        targets = batch_blocks(
            [self._label(c) for c in calculations],
            atoms,
            tables,
            self.basis,
            inputs["neighbors"].shape,
            is_spinful,
        )
        weights = batch_weights(inputs, self.basis, self.spin, share)
        return inputs, targets, weights

    def _pairs(self, calculation):
        matrix = calculation.hamiltonian
        if matrix is None and self.initial:
            matrix = calculation.initial_hamiltonian
        if matrix is not None:
            return matrix.atom_pairs
        return pairs_within(calculation.atoms, self.reaches)

    def _label(self, calculation):
        """H; with H⁰ as an input, in its energy zero."""
        label, overlap = calculation.hamiltonian, calculation.overlap
        if not self.initial:
            return label
        if overlap is None and self.overlap is not None:
            overlap = self.overlap(calculation.atoms)
        if overlap is None:
            return label
        shift = gauge_shift(label, calculation.initial_hamiltonian, overlap)
        return shifted(label, -shift, overlap)

    def _check(self, calculation):
        check_finite(calculation)
        if self.initial and calculation.initial_hamiltonian is None:
            raise ValueError(
                f"Structure {calculation.name!r} has no H⁰, the zeroth-step "
                "Hamiltonian that goes in. Leave it out of `names`, or add "
                "H⁰ to the data: data_tools/README.md says how each program "
                "writes it."
            )
        if calculation.hamiltonian is None:
            if self.has_targets:
                raise ValueError(
                    f"Structure {calculation.name!r} has no Hamiltonian to "
                    "learn from, others have one. Leave it out of `names`, or "
                    "predict it with another data set."
                )
            if not self.initial and self.reaches is None:
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


def _initial(calculation):
    """H⁰ with the pairs of H, if that is known."""
    initial = calculation.initial_hamiltonian
    if calculation.hamiltonian is None:
        return initial
    return aligned(initial, calculation.hamiltonian, "zeroth step H⁰")


def _keys(calculations, names):
    if names is None:
        names = getattr(calculations, "names", range(len(calculations)))
    keys = list(names)
    if not keys:
        raise ValueError("A data set needs at least one structure.")
    return keys


def check_finite(calculation):
    """Refuses matrices with numbers that are none.

    Args:
        calculation: `Calculation`.

    Raises:
        ValueError: naming the matrix, the structure and the first such block.
    """
    for field in ("hamiltonian", "initial_hamiltonian", "overlap"):
        matrix = getattr(calculation, field)
        number, pair = (0, None) if matrix is None else matrix.not_finite()
        if number:
            raise ValueError(
                f"`{field}` of the structure {calculation.name!r} has "
                f"{number} numbers that are NaN or infinite, the first in "
                f"the block (R1, R2, R3, i, j) = {pair}. Leave the "
                "structure out, or convert it again."
            )
