"""A container whose H⁰ is computed."""

import dataclasses

from keras_hamiltonian.data.correction import measure_correction
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.data.structure_group import pair_counts


class ZerothStepStore(HamiltonianStore):
    """Structures of one store, with H⁰ of another.

    H⁰ of the files is not used: a correction H - H⁰ is to be learned from the
    H⁰ that predictions will start from. S is that of the files where they
    have it.

    Args:
        store: `HamiltonianStore`.
        initial: `HamiltonianStore` whose Hamiltonians are H⁰, under the same
            names.
        zeroth_step: `ZerothStep` that computed them.

    Attributes: those of `HamiltonianStore`, and `zeroth_step`.
    """

    def __init__(self, store, initial, zeroth_step):
        self._open_state()
        self.store, self.initial = store, initial
        self.zeroth_step = zeroth_step
        self.path, self.names = store.path, store.names
        self.spin, self.basis = store.spin, store.basis
        self._positions = store._positions
        self.attributes = {
            **store.attributes,
            "zeroth_step": zeroth_step.describe(),
        }
        if hasattr(store, "set_of"):
            self.set_of = store.set_of

    def __getitem__(self, key):
        found = self.store[key]
        if not self.has_initial(key):
            return dataclasses.replace(found, initial_hamiltonian=None)
        computed = self.initial[found.name]
        overlap = found.overlap
        return dataclasses.replace(
            found,
            initial_hamiltonian=computed.hamiltonian,
            overlap=computed.overlap if overlap is None else overlap,
        )

    def has_initial(self, key):
        """Whether a structure has a computed H⁰."""
        return self._name(key) in self.initial

    def correction(self, key):
        """How far H is from the computed H⁰; matrices are read.

        Returns:
            See `HamiltonianStore.correction`.
        """
        return measure_correction(self[key])

    def pair_counts(self, key):
        """Numbers of pairs, see `HamiltonianStore.pair_counts`; matrices are
        read where the files have no S."""
        counts = self.store.pair_counts(key)
        if counts["overlap"] or not self.has_initial(key):
            return counts
        return pair_counts(self[key])

    def close(self):
        """Closes the files; reading opens them again."""
        self.store.close()
        self.initial.close()

    def _reading(self, name):
        return self.store._reading(name)
