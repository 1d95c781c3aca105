"""The overlap of new structures, without a DFT program."""

import warnings

import numpy as np

from keras_hamiltonian.encoded_arrays import decode_array
from keras_hamiltonian.encoded_arrays import encode_array
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.block_matrix import reverse_positions
from keras_hamiltonian.physics.reach import estimate_reaches
from keras_hamiltonian.physics.two_centre import TwoCentreIntegrals
from keras_hamiltonian.physics.two_centre import slater_koster
from keras_hamiltonian.structures.neighbors import edge_vectors
from keras_hamiltonian.structures.neighbors import pairs_within

# An edge may be this much shorter than any in the data, in Å.
SHORTEST_MARGIN = 0.1
# The overlap of an atom with itself is one constant block per element, and
# blocks of an edge have the two-centre form; files round to about 1e-7.
TWO_CENTRE_TOLERANCE = 1e-5


class TwoCentreOverlap:
    """Overlap matrix of any structure, learned from structures that have one.

    The overlap of two atoms depends on their edge alone. In the frame of the
    edge it is a table of functions of the distance (Slater-Koster integrals),
    which `fit` reads off known overlaps to about 1e-6.

    Args:
        basis: `OrbitalBasis`.
        reaches: dict from element symbol to the reach of its orbitals, in Å.
        onsite: dict from element symbol to the `(n, n)` overlap of an atom
            with itself.
        integrals: dict from sorted pairs of symbols to `TwoCentreIntegrals`.

    Example:

    >>> known = [store[name] for name in split.train]   # doctest: +SKIP
    >>> overlap = TwoCentreOverlap.fit(known)            # doctest: +SKIP
    >>> overlap(ase.io.read("twisted.cif"))              # doctest: +SKIP
    BlockMatrix(2268 pairs, 383292 numbers, float64)
    """

    def __init__(self, basis, reaches, onsite, integrals):
        self.basis = basis
        self.reaches = dict(reaches)
        self.onsite = onsite
        self.integrals = integrals
        # Structures of which a warning was given.
        self._warned = set()
        self._structure = None

    @classmethod
    def fit(cls, calculations, reaches=None):
        """Reads the two-centre integrals off known overlaps.

        Args:
            calculations: iterable of `Calculation`; those without an overlap
                are skipped.
            reaches: dict from element symbol to the reach of its orbitals, in
                Å. Defaults to `estimate_reaches` of the calculations.

        Returns:
            `TwoCentreOverlap`.

        Raises:
            ValueError: if no calculation has an overlap, their bases differ,
                or the overlap is not a two-centre matrix.
        """
        known = [c for c in calculations if c.overlap is not None]
        if not known:
            raise ValueError("None of the calculations has an overlap.")
        basis = known[0].basis
        for calculation in known[1:]:
            basis = basis.union(calculation.basis)
        reaches = estimate_reaches(known) if reaches is None else reaches
        data = {}
        for calculation in known:
            for key, values in _integrals_of(calculation, basis):
                data.setdefault(key, []).append(values)
        onsite = {
            a: _constant(a, np.concatenate(blocks))
            for (a, b), blocks in data.items()
            if b is None
        }
        integrals = {
            (a, b): TwoCentreIntegrals.fit(
                (basis.shells[a], basis.shells[b]),
                reaches[a] + reaches[b],
                np.concatenate([distances for distances, _ in parts]),
                np.concatenate([values for _, values in parts]),
                is_symmetric=a == b,
            )
            for (a, b), parts in sorted(data.items(), key=str)
            if b is not None
        }
        return cls(basis, reaches, onsite, integrals)

    def atom_pairs(self, atoms):
        """The pairs of the overlap: `(P, 5)` ints, see `pairs_within`."""
        return pairs_within(atoms, self.reaches)

    def __call__(self, atoms):
        """Overlap of a structure.

        Args:
            atoms: `ase.Atoms`.

        Returns:
            `BlockMatrix` of all pairs within the reach of the orbitals,
            exactly symmetric.

        Raises:
            ValueError: for an element or a pair of elements without data, or
                an edge shorter than any in the data.
        """
        pairs = self.atom_pairs(atoms)
        partners = reverse_positions(pairs)
        symbols = np.array(atoms.get_chemical_symbols())
        sizes = np.array([self.basis.num_orbitals(z) for z in atoms.numbers])
        shapes = sizes[pairs[:, 3:]]
        starts = np.cumsum(shapes.prod(axis=1)) - shapes.prod(axis=1)
        entries = np.empty(int(shapes.prod(axis=1).sum()))

        def fill(chosen, blocks):
            inside = np.arange(blocks[0].size)
            places = starts[chosen, None] + inside
            entries[places] = blocks.reshape(-1, len(inside))

        is_onsite = partners == np.arange(len(pairs))
        for a in np.unique(symbols):
            own = is_onsite & (symbols[pairs[:, 3]] == a)
            fill(np.flatnonzero(own), self.onsite[a][None])
        for chosen, vectors, integrals in self._edges(atoms, pairs, partners):
            blocks = integrals.blocks(vectors)
            fill(chosen, blocks)
            fill(partners[chosen], blocks.swapaxes(1, 2))
        return BlockMatrix(pairs, shapes, entries)

    def check(self, atoms):
        """Refuses a structure as a call does, without its blocks.

        Args:
            atoms: `ase.Atoms`.

        Raises:
            ValueError: see `__call__`.
        """
        pairs = pairs_within(atoms, self.reaches)
        for _ in self._edges(atoms, pairs, reverse_positions(pairs)):
            pass

    def uncovered(self, atoms):
        """Pairs of atoms at distances that the fit had no data of.

        Args:
            atoms: `ase.Atoms`.

        Returns:
            List of dicts, one for each pair (not for its reverse): `atoms`
            (their numbers), `distance` and `away`, how far that is from any
            distance with data, both in Å.
        """
        pairs = pairs_within(atoms, self.reaches)
        symbols = np.array(atoms.get_chemical_symbols())
        distances = np.linalg.norm(edge_vectors(atoms, pairs), axis=1)
        # Of a pair and its reverse, the one whose first difference is positive.
        steps = np.column_stack([pairs[:, 4] - pairs[:, 3], pairs[:, :3]])
        first = np.argmax(steps != 0, axis=1)
        is_first = steps[np.arange(len(pairs)), first] > 0
        found = []
        for (a, b), integrals in self.integrals.items():
            ends = symbols[pairs[:, 3:]]
            chosen = (ends[:, 0] == a) & (ends[:, 1] == b) & (distances > 0)
            if a == b:
                chosen &= is_first
            chosen = np.flatnonzero(chosen)
            away = integrals.distance_to_data(distances[chosen])
            for k, x in zip(chosen, away):
                if x > SHORTEST_MARGIN:
                    entry = {"atoms": pairs[k, 3:].tolist()}
                    entry |= {"distance": float(distances[k])}
                    found.append({**entry, "away": float(x)})
        return found

    def joined(self, other):
        """The overlap of the elements of both.

        Args:
            other: `TwoCentreOverlap` in the same basis. Of integrals that both
                know, those fitted over more distances count.

        Returns:
            `TwoCentreOverlap`.
        """
        integrals = dict(self.integrals)
        for pair, found in other.integrals.items():
            known = integrals.get(pair)
            if known is None or _covered(found) > _covered(known):
                integrals[pair] = found
        return TwoCentreOverlap(
            self.basis.union(other.basis),
            {**other.reaches, **self.reaches},
            {**other.onsite, **self.onsite},
            integrals,
        )

    def to_dict(self):
        """JSON-ready form, for the configuration of a model or a file."""
        return {
            "basis": self.basis.to_dict(),
            "reaches": self.reaches,
            "onsite": {s: encode_array(m) for s, m in self.onsite.items()},
            "integrals": [
                {"elements": list(pair), **integrals.to_dict()}
                for pair, integrals in self.integrals.items()
            ],
        }

    @classmethod
    def from_dict(cls, config):
        """From what `to_dict` returned."""
        return cls(
            OrbitalBasis(config["basis"]),
            config["reaches"],
            {s: decode_array(m) for s, m in config["onsite"].items()},
            {
                tuple(entry["elements"]): TwoCentreIntegrals.from_dict(entry)
                for entry in config["integrals"]
            },
        )

    def _edges(self, atoms, pairs, partners):
        """Positions, vectors and integrals of the edges of two elements each;
        of an edge and its reverse the first."""
        known = atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc
        self._structure = hash(tuple(array.tobytes() for array in known))
        symbols = np.array(atoms.get_chemical_symbols())
        first, second = symbols[pairs[:, 3]], symbols[pairs[:, 4]]
        vectors = edge_vectors(atoms, pairs)
        one_way = (first < second) | (
            (first == second) & (np.arange(len(pairs)) < partners)
        )
        for a, b in sorted(set(zip(first[one_way], second[one_way]))):
            chosen = np.flatnonzero(one_way & (first == a) & (second == b))
            own = vectors[chosen]
            yield chosen, own, self._integrals(a, b, pairs[chosen], own)

    def _integrals(self, a, b, pairs, vectors):
        """The integrals of two elements, once the distances are checked."""
        distances = np.linalg.norm(vectors, axis=1)
        k = distances.argmin()
        edge = (
            f"Atoms {pairs[k, 3]} ({a}) and {pairs[k, 4]} ({b}), "
            f"{distances[k]:.3f} Å apart, "
        )
        integrals = self.integrals.get((a, b))
        if integrals is None:
            raise ValueError(
                f"{edge}overlap, but no structure of the fit has the pair "
                f"{a}-{b} within {self.reaches[a] + self.reaches[b]:.2f} Å. "
                "Fit with a structure that has it."
            )
        shortest = integrals.covered[0, 0]
        if distances[k] < shortest - SHORTEST_MARGIN:
            raise ValueError(
                f"{edge}are closer than any {a}-{b} pair of the fit "
                f"({shortest:.3f} Å). Fit with a structure that has such "
                "edges, or check the positions."
            )
        self._warn_of_gaps(a, b, integrals, distances)
        return integrals

    def _warn_of_gaps(self, a, b, integrals, distances):
        away = integrals.distance_to_data(distances)
        k = away.argmax()
        if self._structure in self._warned or away[k] <= SHORTEST_MARGIN:
            return
        self._warned.add(self._structure)
        ranges = ", ".join(f"{x:.2f}-{y:.2f}" for x, y in integrals.covered)
        warnings.warn(
            f"The overlap of {a}-{b} at {distances[k]:.3f} Å is interpolated "
            f"between distances of the fit ({ranges} Å); there its error may "
            "reach 1e-3. Structures with such distances make the fit better.",
            stacklevel=5,
        )


def _covered(integrals):
    """Length of the distances with data, Å."""
    return float(np.diff(integrals.covered, axis=1).sum())


def _integrals_of(calculation, basis):
    """Onsite blocks, and integrals of each pair of elements, of a structure."""
    overlap = calculation.overlap
    pairs = overlap.atom_pairs
    symbols = np.array(calculation.atoms.get_chemical_symbols())
    first, second = symbols[pairs[:, 3]], symbols[pairs[:, 4]]
    vectors = calculation.edge_vectors(pairs)
    is_onsite = overlap.is_onsite
    for a in sorted(set(symbols)):
        chosen = np.flatnonzero(is_onsite & (first == a))
        yield (str(a), None), np.array([overlap.block(k) for k in chosen])
    # Of an edge and its reverse one is enough.
    partners = overlap.reverse_positions()
    is_first = (partners < 0) | (np.arange(len(pairs)) < partners)
    forward = (first < second) | ((first == second) & is_first & ~is_onsite)
    for a, b in sorted(set(zip(first[forward], second[forward]))):
        chosen = np.flatnonzero(forward & (first == a) & (second == b))
        integrals, error = slater_koster(
            (basis.shells[a], basis.shells[b]),
            vectors[chosen],
            np.array([overlap.block(k) for k in chosen]),
        )
        if error > TWO_CENTRE_TOLERANCE:
            raise ValueError(
                f"The overlap of {a}-{b} in {calculation.name!r} is no "
                f"two-centre matrix: it deviates by {error:.1e} in the frame "
                "of the edge. The file has another orbital order or other "
                "positions than its reader assumes."
            )
        distances = np.linalg.norm(vectors[chosen], axis=1)
        yield (str(a), str(b)), (distances, integrals)


def _constant(symbol, blocks):
    mean = blocks.mean(axis=0)
    spread = np.abs(blocks - mean).max()
    if spread > TWO_CENTRE_TOLERANCE:
        raise ValueError(
            f"The overlap of {symbol} with itself varies by {spread:.1e} "
            "between atoms. One element needs one basis."
        )
    return (mean + mean.T) / 2
