"""A data set with eigenstates at one wave vector per structure and step."""

import keras
import numpy as np

from keras_hamiltonian.models.rotated_dataset import RotatedDataset

# States this much above P, in eV, count half.
HALF_IN_EV = 3.0


class KSpaceDataset(keras.utils.PyDataset):
    """Batches with what `KSpaceLoss` needs.

    One of the wave vectors that are kept of each structure is drawn from the
    seed, the number of the epoch and that of the structure; so a training that
    resumes from a checkpoint, or goes on in other processes, sees what it
    would have seen.

    Args:
        dataset: `HamiltonianDataset` with targets, or `StageFeatures` of one.
        states: `StateFolder`, filled with its structures, which have names.
        seed: int.
        **kwargs: `workers`, ... of `keras.utils.PyDataset`.

    Each item is that of the data set, with four more targets:

    - `k_vectors` `(N, 3)` in 1/Å, that of the structure for each atom.
    - `k_states` `(N, 2, spin, rows, num_states)`: real and imaginary part of
      the states C, padded to the table of orbitals and to the largest number
      of states; those of another structure are zero. They are scaled so that
      `C^† S C = n / sqrt(numbers in all blocks)` for n orbitals, divided by
      the root of the number of structures: see `KSpaceLoss`.
    - `k_shares` `(num_states, 2)`: of states in P, one over their number in
      the structure; then the same of Q, times `1 / (1 + E / 3 eV)` for a
      state E above P, because its error matters where it is as large as E.
    - `k_structure` `(num_states,)` int32: which structure of the batch.

    Raises:
        ValueError: if crystals are rotated, or structures have no Hamiltonian
            or no states.

    Example:

    >>> states = StateFolder("my_set.states")              # doctest: +SKIP
    >>> states.fill(store[name] for name in split.train)   # doctest: +SKIP
    >>> loss = BlockMeanAbsoluteError()                    # doctest: +SKIP
    >>> stage.compile(                                     # doctest: +SKIP
    ...     "adam", loss=loss, joint_losses=[KSpaceLoss()], jit_compile=False
    ... )
    >>> stage.fit(KSpaceDataset(training, states))     # doctest: +SKIP
    """

    def __init__(self, dataset, states, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.dataset = dataset
        self.states = states
        self.seed = seed
        self._atoms = dataset
        while hasattr(self._atoms, "dataset"):
            if isinstance(self._atoms, RotatedDataset):
                raise ValueError(
                    "Eigenstates do not rotate with the crystals of a "
                    "`RotatedDataset`. Give the data set that it rotates."
                )
            self._atoms = self._atoms.dataset
        if not self._atoms.has_targets:
            raise ValueError(
                "The structures of the data set have no Hamiltonian, so there "
                "are no states to compare. Give those that a calculation has."
            )
        names = [str(key) for key in self._atoms.keys]
        self._numbers = {name: k for k, name in enumerate(names)}
        self._num_states = max(states.shape(name)[-1] for name in names)

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, position):
        inputs, targets, *weights = self.dataset[position]
        return (
            inputs,
            {**targets, **self._targets(position, inputs)},
            *weights,
        )

    def on_epoch_end(self):
        """Goes on to the next epoch."""
        self.dataset.on_epoch_end()

    def get_state(self):
        """What the next items depend on besides the seed."""
        return self.dataset.get_state()

    def set_state(self, state):
        """Goes to an epoch; see `get_state`."""
        self.dataset.set_state(state)

    def _targets(self, position, inputs):
        data = self._atoms
        epoch = self.get_state()["epoch"]
        names, share = data.structure_names(position), data.share(position)
        spins = 1 if data.spin == "none" else 2
        size = (len(inputs["species"]), 2, spins, data.basis.num_rows)
        # The last batch may have fewer structures.
        total = data.batch_size * self._num_states
        floats = keras.config.floatx()
        found = {
            "k_vectors": np.zeros((size[0], 3), floats),
            "k_states": np.zeros((*size, total), floats),
            "k_shares": np.zeros((total, 2), floats),
            "k_structure": np.arange(total, dtype="int32") // self._num_states,
        }
        orbitals = _num_orbitals(inputs["species"], data.basis)
        ends = inputs["edge_mask"] * orbitals[inputs["neighbors"]]
        elements = orbitals * (orbitals + ends.sum(1))
        for number, name in enumerate(names):
            random = np.random.default_rng(
                (self.seed, epoch, self._numbers[name])
            )
            k_point = random.integers(self.states.shape(name)[0])
            kept = self.states.read(name, k_point)
            own = np.flatnonzero(inputs["structure"] == number)
            states = self._in_table(kept["states"], inputs["species"][own])
            square = orbitals[own].sum() ** 2 / elements[own].sum()
            states *= (share * square / len(names)) ** 0.25
            start = number * self._num_states
            columns = slice(start, start + states.shape[-1])
            found["k_vectors"][own] = kept["k_vectors"]
            found["k_states"][own, 0, ..., columns] = states.real
            found["k_states"][own, 1, ..., columns] = states.imag
            found["k_shares"][columns] = self._shares(**kept)
        return found

    def _shares(self, energies, is_p, **_):
        above = np.maximum(energies - self.states.window, 0.0)
        shares = np.stack([is_p, ~is_p / (1 + above / HALF_IN_EV)], axis=-1)
        counts = np.array([is_p.sum(), (~is_p).sum()])
        return shares / np.maximum(counts, 1)

    def _in_table(self, states, species):
        """States `(atoms, spin, rows, num_states)`, zero at padding."""
        basis = self._atoms.basis
        spins = 1 if self._atoms.spin == "none" else 2
        shape = (len(species), spins, basis.num_rows, states.shape[-1])
        table, start = np.zeros(shape, states.dtype), 0
        for atom, k in enumerate(species):
            rows = basis.table_rows(basis.symbols[k])
            stop = start + spins * len(rows)
            own = states[start:stop].reshape(spins, len(rows), -1)
            table[atom][:, rows] = own
            start = stop
        return table


def _num_orbitals(species, basis):
    """Of each atom, without spin; 0 of padding."""
    numbers = [basis.num_orbitals(symbol) for symbol in basis.symbols]
    return np.array([*numbers, 0])[species]
