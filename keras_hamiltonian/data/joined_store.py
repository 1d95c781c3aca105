"""Several containers as one set of structures."""

from keras_hamiltonian.data.store import HamiltonianStore


class JoinedStore(HamiltonianStore):
    """Structures of several containers, read as those of one.

    A structure is called `<file>-<name>`, such as `mos2-003`. Elements are
    those of all files; one that two files have needs the same orbitals in
    both.

    Args:
        stores: sequence of `HamiltonianStore`, or paths of containers.

    Attributes:
        stores: dict from the name of each file, without its ending, to its
            `HamiltonianStore`.
        path: where one file of all would be, `<first>+<second>.h5` beside the
            first. It is not there.
        attributes: dict from the names of the files to theirs.

    Raises:
        ValueError: if two files have one name, spin layouts differ, or an
            element has other orbitals in another file.

    Example:

    >>> both = JoinedStore(["bi2te3.h5", "bi2se3.h5"])   # doctest: +SKIP
    >>> both.basis.symbols, both.names[-1]                # doctest: +SKIP
    (('Bi', 'Se', 'Te'), 'bi2se3-004')
    """

    def __init__(self, stores):
        self._open_state()
        self.stores, self._positions = {}, {}
        for store in stores:
            if not isinstance(store, HamiltonianStore):
                store = HamiltonianStore(store)
            self._add(store)
        self.names = tuple(self._positions)
        first = next(iter(self.stores.values()))
        self.path = first.path.with_name("+".join(self.stores) + ".h5")
        self.attributes = {
            name: store.attributes for name, store in self.stores.items()
        }

    def set_of(self, name):
        """Name of the file that a structure is from, see `stores`."""
        return self._positions[self._name(name)][0]

    def close(self):
        """Closes the files; reading opens them again."""
        for store in self.stores.values():
            store.close()

    def _add(self, store):
        name = store.path.stem
        if name in self.stores:
            raise ValueError(
                f"Two files are called {name!r}: {self.stores[name].path} and "
                f"{store.path}. Names of structures begin with that of the "
                "file, so rename one."
            )
        for other in self.stores.values():
            _check_together(store, other)
        self.spin = store.spin
        basis = store.basis
        self.basis = self.basis.union(basis) if self.stores else basis
        self.stores[name] = store
        for own in store.names:
            self._positions[f"{name}-{own}"] = name, own

    def _reading(self, name):
        part, own = self._positions[name]
        return self.stores[part]._reading(own)


def _check_together(store, other):
    if store.spin != other.spin:
        raise ValueError(
            f"{store.path} has the spin layout {store.spin!r}, {other.path} "
            f"has {other.spin!r}. Train one model for each layout."
        )
    ours, theirs = store.basis, other.basis
    for symbol in sorted(set(ours.shells) & set(theirs.shells)):
        if ours.shells[symbol] != theirs.shells[symbol]:
            raise ValueError(
                f"{symbol} has the orbitals {ours.to_dict()[symbol]} in "
                f"{store.path}, and {theirs.to_dict()[symbol]} in "
                f"{other.path}. One model needs one basis for each element: "
                "compute one of the sets in the basis of the other."
            )
