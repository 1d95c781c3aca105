"""Predictions slab by slab, in bounded memory."""

import contextlib
import dataclasses
import time

import numpy as np

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.group_by_group import GroupByGroup
from keras_hamiltonian.group_by_group import divided
from keras_hamiltonian.initial import initial_matrix
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.memory import bytes_of
from keras_hamiltonian.memory import in_words
from keras_hamiltonian.memory import resident_bytes
from keras_hamiltonian.messages import duration
from keras_hamiltonian.models.receptive_field import receptive_steps
from keras_hamiltonian.network_outputs import input_dtype
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.block_matrix import runs
from keras_hamiltonian.structures.neighbors import pairs_within
from keras_hamiltonian.structures.slabs import Links
from keras_hamiltonian.structures.slabs import Slab
from keras_hamiltonian.structures.slabs import TooSmall
from keras_hamiltonian.structures.slabs import divide

# Numbers on each edge at the peak of a network, measured, in units of the
# numbers of its features, those of a second stage beside them, and its blocks.
FEATURES, SECOND, BLOCKS = 7.0, 12.0, 6.0
# The same, of features, where the first stage goes group by group; and copies
# of the features of all atoms, which wait for the next group.
BY_GROUP, COPIES = 6.6, 2
# Bytes that the system and the libraries take beyond what is counted.
SPARE = 1e8
# What is advised where a limit is too low, over what was missing.
MARGIN = 1.1
# Bytes of a pair: its indices, shape, place and partner.
PAIR_BYTES = 150
# H⁰ from species, in units of what a pass of one group takes: it comes with the
# first one.
INITIAL_COST = 15
# Atoms from which on the time is estimated, and atoms that are timed for it.
LARGE, SAMPLE = 2000, 64


@dataclasses.dataclass(frozen=True, eq=False)
class SlabRows:
    """What was predicted of the own atoms of a slab.

    Attributes:
        positions: int array. Positions of their pairs in those of the crystal.
        hamiltonian: `BlockMatrix` in eV, before the shift of the energy zero;
            its pairs are those of the crystal.
        spread: `BlockMatrix`, or `None`.
        features: list of `(n, dim)` arrays, or `None`.
        initial: `BlockMatrix`, H⁰ of these pairs, or `None`.
    """

    positions: np.ndarray
    hamiltonian: BlockMatrix
    spread: BlockMatrix | None
    features: list | None
    initial: BlockMatrix | None


@dataclasses.dataclass(frozen=True)
class PredictionEstimate:
    """What a prediction will take; as text, a line.

    Attributes:
        num_atoms, num_slabs: int.
        seconds: float, wall time; `None` for small structures.
        peak: float, bytes of the process.
    """

    num_atoms: int
    num_slabs: int
    seconds: float | None
    peak: float

    def __str__(self):
        time_taken = ""
        if self.seconds is not None:
            time_taken = f"{duration(self.seconds)}, "
        slabs = "one slab" if self.num_slabs == 1 else f"{self.num_slabs} slabs"
        return (
            f"{self.num_atoms} atoms in {slabs}, about {time_taken}"
            f"{in_words(self.peak)}"
        )


class SlabPrediction:
    """A prediction that is made of those of slabs.

    All layers are local, so the blocks of an atom are those that its
    surroundings give, exactly. What does not fit into one slab goes through
    the first stage group by group (`GroupByGroup`), where the model is
    `divided`; else a slab is computed with all atoms within `receptive_steps`
    neighbours of its own.

    Args:
        model: `Stage`.
        known: `Calculation`, with H⁰ if the model takes it and does not
            compute it itself.
        compute: function of a `Calculation` of the atoms of a slab and of
            their pairs, which returns the `BlockMatrix` of the pairs, that of
            their spread or `None`, and features or `None`.
        max_memory: see `kh.predict`: of the whole process. Defaults to no
            limit.
        numbers_kept: int. How many numbers of 8 bytes the caller keeps for
            every number of the Hamiltonian.
        by_group: bool. Whether the first stage may go group by group: what
            `compute` returns follows from its features.

    Attributes:
        atom_pairs: `(P, 5)` int array, the pairs of the Hamiltonian.
        shapes: `(P, 2)` int array of its blocks.
        slabs: list of `Slab`.
        peak: float. Expected memory of the process, bytes.

    Raises:
        ValueError: if the limit is too low, or the model not local.
    """

    def __init__(
        self,
        model,
        known,
        compute,
        max_memory=None,
        numbers_kept=0,
        by_group=False,
    ):
        self.model, self.known, self.compute = model, known, compute
        model.check_elements(known.atoms, known.basis)
        limit = np.inf if max_memory is None else bytes_of(max_memory)
        steps = receptive_steps(model) if np.isfinite(limit) else 0
        self.atom_pairs = self._pairs()
        doubling = 2 if model.spin != "none" else 1
        self.shapes = doubling * known.num_orbitals[self.atom_pairs[:, 3:]]
        self.links = Links(len(known.atoms), self.atom_pairs)
        held = resident_bytes() + SPARE + PAIR_BYTES * len(self.atom_pairs)
        held += 8 * doubling * numbers_kept * self.shapes.prod(axis=1).sum()
        width = np.bincount(self.atom_pairs[:, 3]).max()
        per_atom = float(width * edge_bytes(model))
        count = len(known.atoms)
        self.by_group = (
            by_group and count * per_atom > limit - held and divided(model)
        )
        if self.by_group:
            steps = receptive_steps(model, from_features=True)
            per_atom = float(width * edge_bytes(model, by_group=True))
            held += COPIES * bytes_each(model) * count * sum(_sizes(model))
        try:
            self.slabs = divide(
                known.atoms, self.links, steps, (limit - held) / per_atom
            )
        except TooSmall as error:
            raise ValueError(
                self._too_little(limit, held, error.needed, per_atom)
                + (
                    "; a container that is written as it is predicted "
                    "(`kh.stream_prediction`; --format container without "
                    "--uncertainty, of a structure without a Hamiltonian) "
                    "takes less."
                    if numbers_kept
                    else "."
                )
            ) from None
        largest = max(int(slab.region.sum()) for slab in self.slabs)
        self.peak = held + largest * per_atom

    def each(self, take, progress=None):
        """Computes one slab after the other.

        Then `initial`, the onsite blocks of H⁰ (`BlockMatrix`, or `None`), is
        complete.

        Args:
            take: function of `SlabRows` and `Slab`, called with each.
            progress: function of the fraction done, or `None`. Its method
                `begin`, if it has one, gets a `PredictionEstimate` first.

        Returns:
            Features of all atoms, a list of `(N, dim)` arrays, or `None`.
        """
        if hasattr(progress, "begin"):
            progress.begin(self.estimate())
        sizes = [int(slab.region.sum()) for slab in self.slabs]
        done, total, onsite, features = 0, sum(sizes), None, None
        groups = self._groups() if self.by_group else contextlib.nullcontext()
        with groups as groups:
            if groups is not None:
                costs = np.ones(groups.num_passes)
                costs[0] += INITIAL_COST * self._computes_initial
                total *= 1 + costs.sum()
                for k, number in enumerate(groups.passes()):
                    done += sizes[number] * costs[k // len(sizes)]
                    if progress is not None:
                        progress(done / total)
            for slab, size in zip(self.slabs, sizes):
                rows = self._rows(slab, groups)
                onsite = self._with_onsite(onsite, rows, slab)
                features = self._with_features(features, rows, slab)
                take(rows, slab)
                done += size
                if progress is not None:
                    progress(done / total)
        self.initial = None if onsite is None else onsite.matrix()
        return features

    def _groups(self):
        return GroupByGroup(
            self.model,
            self.known,
            self.slabs,
            self.atom_pairs,
            self.shapes,
            self._initial,
        )

    def _with_onsite(self, found, rows, slab):
        """Onsite blocks of H⁰, those of a slab among them."""
        if rows.initial is None:
            return None
        found = found or self._onsite(rows.initial.entries.dtype)
        own = np.flatnonzero(rows.initial.is_onsite)
        own = own[np.argsort(rows.initial.atom_pairs[own, 3])]
        found.put(np.flatnonzero(slab.own), rows.initial.select(own))
        return found

    def _with_features(self, found, rows, slab):
        """Features of all atoms, those of a slab among them."""
        if rows.features is None:
            return None
        count = len(self.known.atoms)
        found = found or [
            np.empty((count, x.shape[1]), x.dtype) for x in rows.features
        ]
        for whole, x in zip(found, rows.features):
            whole[slab.own] = x
        return found

    def estimate(self):
        """The `PredictionEstimate`; the time is that of a small part, if the
        structure is large."""
        count, seconds = len(self.known.atoms), None
        if count >= LARGE:
            part = np.arange(count) == self.slabs[0].atoms[0]
            while part.sum() < SAMPLE:
                wider = self.links.around(part, 1)
                if wider.sum() == part.sum():
                    # A piece of the crystal by itself: the next atom, too.
                    wider = part | (np.cumsum(~part) == 1)
                part = wider
            start = time.monotonic()
            self._rows(Slab(part, part))
            total = sum(int(slab.region.sum()) for slab in self.slabs)
            seconds = (time.monotonic() - start) * total / part.sum()
        return PredictionEstimate(count, len(self.slabs), seconds, self.peak)

    def gathered(self, progress=None):
        """All slabs together.

        Args:
            progress: function of the fraction done, or `None`.

        Returns:
            `BlockMatrix` of the Hamiltonian, before the shift of the energy
            zero; that of its spread, or `None`; features, or `None`.
        """
        found = {"hamiltonian": None, "spread": None}

        def take(rows, slab):
            for name in found:
                matrix = getattr(rows, name)
                if matrix is None:
                    continue
                if found[name] is None:
                    found[name] = MatrixRows(
                        self.atom_pairs, self.shapes, matrix.entries.dtype
                    )
                found[name].put(rows.positions, matrix)

        features = self.each(take, progress)
        matrices = (rows and rows.matrix() for rows in found.values())
        return *matrices, features

    def _onsite(self, dtype):
        count = len(self.known.atoms)
        pairs = np.zeros((count, 5), dtype=np.int64)
        pairs[:, 3] = pairs[:, 4] = np.arange(count)
        doubling = 2 if self.model.spin != "none" else 1
        shapes = doubling * self.known.num_orbitals[pairs[:, 3:]]
        return MatrixRows(pairs, shapes, dtype)

    @property
    def _computes_initial(self):
        """Whether H⁰ is taken, and computed by the model."""
        is_given = self.known.initial_hamiltonian is not None
        model = self.model
        return bool(model.takes_initial and model.zeroth_step and not is_given)

    def _pairs(self):
        model, known = self.model, self.known
        if not model.takes_initial:
            return pairs_within(known.atoms, model.reaches)
        if self._computes_initial:
            return model.zeroth_step.atom_pairs(known.atoms)
        return initial_matrix(model, known).atom_pairs

    def _too_little(self, limit, held, needed, per_atom):
        enough = MARGIN * (held + needed * per_atom)
        return (
            f"{in_words(limit)} of memory are too little for "
            f"{self.known.atoms.get_chemical_formula()}: an atom depends on "
            f"{needed} atoms, which takes {in_words(needed * per_atom)} beside "
            f"the {in_words(held)} that the program and what it keeps take. "
            f"Enough may be {in_words(enough)}"
        )

    def _rows(self, slab, groups=None):
        model, numbers = self.model, slab.atoms
        positions, pairs = slab.pairs(self.atom_pairs)
        known = self._initial if groups is None else groups.initial_of
        initial = known(slab, positions, pairs)
        part = Calculation(
            self.known.atoms[numbers],
            model.basis,
            spin=model.spin,
            initial_hamiltonian=initial,
        )
        if groups is None:
            found = self.compute(part, pairs)
        else:
            found = groups.blocks(slab, part, pairs)
        hamiltonian, spread, features = found
        own = slab.own[numbers]
        chosen = np.flatnonzero(own[pairs[:, 3]])
        kept = positions[chosen]

        def rows(matrix):
            if matrix is None:
                return None
            matrix = matrix.select(chosen)
            return BlockMatrix(
                self.atom_pairs[kept], matrix.shapes, matrix.entries
            )

        if features is not None:
            features = [x[own] for x in features]
        return SlabRows(
            kept,
            rows(hamiltonian),
            rows(spread),
            features,
            rows(initial),
        )

    def _initial(self, slab, positions, pairs):
        if not self.model.takes_initial:
            return None
        given = self.known.initial_hamiltonian
        if given is None:
            return self.model.zeroth_step.region(self.known.atoms, slab.region)[
                0
            ]
        given = given.select(positions)
        return BlockMatrix(pairs, given.shapes, given.entries)


class MatrixRows:
    """A matrix that comes in rows, in memory.

    Args:
        atom_pairs: `(P, 5)` int array.
        shapes: `(P, 2)` int array.
        dtype: of the numbers.
    """

    def __init__(self, atom_pairs, shapes, dtype):
        self.atom_pairs, self.shapes = atom_pairs, shapes
        sizes = shapes.prod(axis=1)
        self.boundaries = np.concatenate([[0], np.cumsum(sizes)])
        self.entries = np.empty(self.boundaries[-1], dtype)

    def put(self, positions, rows):
        """Takes the blocks of some pairs.

        Args:
            positions: `(n,)` int array, ascending.
            rows: `BlockMatrix` of these pairs.
        """
        for start, stop, first, last in runs(positions):
            source = slice(rows.boundaries[first], rows.boundaries[last])
            target = slice(self.boundaries[start], self.boundaries[stop])
            self.entries[target] = rows.entries[source]

    def matrix(self):
        """The `BlockMatrix`."""
        return BlockMatrix(self.atom_pairs, self.shapes, self.entries)


def edge_bytes(model, by_group=False):
    """Memory of each edge of a batch at the peak of a network."""
    first = BY_GROUP if by_group else FEATURES
    size = first + SECOND * (len(model.stages()) - 1)
    blocks = int(np.prod(model.basis.block_shape(model.spin)))
    return bytes_each(model) * (size * max(_sizes(model)) + BLOCKS * blocks)


def bytes_each(model):
    """Bytes of each number in a network."""
    return np.dtype(input_dtype(model)).itemsize


def _sizes(model):
    """Components of the features of each group."""
    return [Irreps(irreps).dim for irreps in model.feature_irreps]
