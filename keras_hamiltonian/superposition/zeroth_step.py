"""H⁰ and S of superposed atoms, from atoms and species alone."""

import dataclasses
import functools
import hashlib
import itertools
import json
import numbers

import numba
import numpy as np
import threadpoolctl

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.structures.neighbors import pairs_within
from keras_hamiltonian.superposition.box import boxed
from keras_hamiltonian.superposition.functionals import find_functional
from keras_hamiltonian.superposition.functionals import functional_name
from keras_hamiltonian.superposition.grid import RealSpaceGrid
from keras_hamiltonian.superposition.grid import SuperposedPotential
from keras_hamiltonian.superposition.local_part import LocalPart
from keras_hamiltonian.superposition.neutral_atoms import (
    check_neutral_projectors,
)
from keras_hamiltonian.superposition.neutral_atoms import set_onsite
from keras_hamiltonian.superposition.pairs import CrystalPairs
from keras_hamiltonian.superposition.projector_part import ProjectorPart
from keras_hamiltonian.superposition.species import basis_of
from keras_hamiltonian.superposition.species_values import species_from_values
from keras_hamiltonian.superposition.species_values import species_to_values
from keras_hamiltonian.superposition.tables import SpeciesTables
from keras_hamiltonian.superposition.vector_operators import VectorTables
from keras_hamiltonian.superposition.workers import Workers

SPINS = ("none", "noncollinear")
NEUTRAL_ATOMS = ("grid", "projectors")
# Of the values of `to_dict`.
VALUES_VERSION = 1


class ZerothStep:
    """Computes H⁰ and S of structures, without a run of a DFT program.

    `H⁰ = T + V_NL + Σ V_NA + V_xc[Σ n_atom + n_core]`: kinetic energy,
    non-local pseudopotentials with spin-orbit coupling, neutral-atom
    potentials, and exchange and correlation of the superposed densities of
    free atoms. There is no Hartree potential beyond that of neutral atoms, no
    diagonalisation, and the cost is linear in the atoms.

    A structure without a period in some direction gets vacuum there, so that
    images do not meet; a slab in a periodic cell keeps its cell. `kh.predict`
    takes the object itself as `initial`.

    Args:
        species: dict from element symbols to `Species`.
        functional: str. `"PBE"`, or LDA as `"PW92"` or `"PZ81"`; with the
            extra `libxc` others, such as `"PBEsol"`. Defaults to `"PBE"`.
        spin: str. `"none"`, or `"noncollinear"` with the spin-orbit coupling
            of the pseudopotentials. Atoms have no moments. Defaults to
            `"none"`.
        grid_cutoff: float, rydberg. Keep that of the data, so that errors of
            the grid cancel in H - H⁰. Defaults to 200.
        neutral_atoms: str. Neutral-atom potentials on the `"grid"` of V_xc,
            or by `"projectors"` as in OpenMX. Defaults to `"grid"`.
        damping: bool or `None`. Whether non-local parts end smoothly within
            the last bohr of the orbitals' reach. Defaults to `None`: as the
            species say.
        source: dict. JSON values: where the species come from.
        workers: int. Threads; the result does not depend on their number.
            Defaults to 1.
        progress: function of the fraction done, or `None`.

    Raises:
        ValueError: for an unknown functional, spin or form of the
            neutral-atom potential, if a species has no projectors of it, or
            if species differ in `damping`: those of one program do not.

    Example:

    >>> zeroth_step = kh.ZerothStep(species)              # doctest: +SKIP
    >>> hamiltonian, overlap = zeroth_step(atoms)         # doctest: +SKIP

    Reference: Ozaki and Kino, Phys. Rev. B 72, 045121 (2005), for OpenMX;
    Soler et al., J. Phys. Condens. Matter 14, 2745 (2002), for the grid.
    """

    def __init__(
        self,
        species,
        *,
        functional="PBE",
        spin="none",
        grid_cutoff=200.0,
        neutral_atoms="grid",
        damping=None,
        source=None,
        workers=1,
        progress=None,
    ):
        self.species = dict(species)
        self.functional = find_functional(functional)
        _check_choice("spin", spin, SPINS)
        _check_choice("neutral_atoms", neutral_atoms, NEUTRAL_ATOMS)
        is_number = isinstance(workers, numbers.Integral) and workers > 0
        if isinstance(workers, bool) or not is_number or not grid_cutoff > 0:
            raise ValueError(
                "`workers` is a positive number of threads, `grid_cutoff` a "
                f"positive energy. Received: {workers}, {grid_cutoff}."
            )
        self.spin, self.grid_cutoff = spin, grid_cutoff
        self.damping = _damping_of(self.species) if damping is None else damping
        self.has_projectors = neutral_atoms == "projectors"
        if self.has_projectors:
            check_neutral_projectors(self.species.values())
        self.source = source
        self.workers, self.progress = workers, progress

    def __call__(self, atoms):
        """H⁰ and S of a structure.

        Args:
            atoms: `ase.Atoms`.

        Returns:
            H⁰ in eV and S, both `BlockMatrix`, of all pairs of atoms whose
            orbitals overlap.

        Raises:
            ValueError: if an element has no species, atoms coincide or have
                magnetic moments, or the cell is degenerate.
        """
        return self._matrices(atoms)

    def atom_pairs(self, atoms):
        """The pairs of H⁰ and S: `(P, 5)` ints, see `pairs_within`."""
        return pairs_within(boxed(atoms, self.species), self.reaches)

    def region(self, atoms, chosen):
        """H⁰ and S between some atoms of a structure, as all of it makes them.

        Args:
            atoms: `ase.Atoms`, all of them.
            chosen: `(num_atoms,)` bools.

        Returns:
            H⁰ in eV and S, both `BlockMatrix`, whose pairs number the chosen
            atoms from 0.

        Raises:
            ValueError: as a call does.
        """
        number = np.cumsum(chosen) - 1
        found = []
        for matrix in self._matrices(atoms, chosen):
            pairs = matrix.atom_pairs.copy()
            pairs[:, 3:] = number[pairs[:, 3:]]
            found.append(BlockMatrix(pairs, matrix.shapes, matrix.entries))
        return tuple(found)

    def _matrices(self, atoms, chosen=None):
        moments = atoms.get_initial_magnetic_moments()
        if np.any(moments):
            raise ValueError(
                "H⁰ of magnetic atoms is not implemented: densities of free "
                "atoms are those without spin. Received initial moments up to "
                f"{np.abs(moments).max():g}. Set them to zero, or take H⁰ from "
                "the first step of a run."
            )
        atoms = boxed(atoms, self.species)
        pairs = CrystalPairs(atoms, self.species, chosen)
        with (
            Workers(self.workers) as workers,
            threadpoolctl.threadpool_limits(1),
        ):
            entries = self._hamiltonian(pairs, workers)
            overlap = _two_centre(pairs, self.tables.overlap)
        entries *= HARTREE_IN_EV
        overlap = pairs.matrix(overlap)
        if self.spin == "none":
            return pairs.matrix(entries[0]), overlap
        return _with_spin(pairs, entries), overlap

    def dipoles(self, atoms):
        """Position between orbitals, about the middle of their atoms.

        Args:
            atoms: `ase.Atoms`.

        Returns:
            Three `BlockMatrix` of `<i at 0| r - (r_i + r_j + R) / 2 |j at R>`
            in Å, for x, y and z: Hermitian, without spin, of the pairs of S.
        """
        pairs = CrystalPairs(boxed(atoms, self.species), self.species)
        overlap = _two_centre(pairs, self.tables.overlap)
        # From about j to about the middle.
        halves = np.repeat(pairs.vectors, np.diff(pairs.boundaries), axis=0) / 2
        entries = self._positions.entries(pairs) + halves.T * overlap
        return tuple(pairs.matrix(x) for x in BOHR_IN_ANGSTROM * entries)

    def gradients(self, atoms):
        """`<i at 0| ∇ |j at R>`; the momentum is -iħ times it.

        Args:
            atoms: `ase.Atoms`.

        Returns:
            Three antisymmetric `BlockMatrix` in 1/Å, for x, y and z.
        """
        pairs = CrystalPairs(boxed(atoms, self.species), self.species)
        entries = self._gradients.entries(pairs)
        return tuple(pairs.matrix(x) for x in entries / BOHR_IN_ANGSTROM)

    @functools.cached_property
    def _positions(self):
        return self._vector_tables("position")

    @functools.cached_property
    def _gradients(self):
        return self._vector_tables("gradient")

    def _vector_tables(self, operator):
        species = list(self.species.values())
        return VectorTables(species, operator, self.tables.grid)

    def overlap(self, atoms):
        """S alone, as `TwoCentreOverlap` gives it.

        Args:
            atoms: `ase.Atoms`.

        Returns:
            `BlockMatrix`.

        Raises:
            ValueError: as a call does, but for magnetic moments.
        """
        pairs = CrystalPairs(boxed(atoms, self.species), self.species)
        return pairs.matrix(_two_centre(pairs, self.tables.overlap))

    @functools.cached_property
    def tables(self):
        """`SpeciesTables`, made when first asked for: seconds."""
        return SpeciesTables(
            list(self.species.values()),
            has_spin=self.spin == "noncollinear",
            has_neutral_atoms=self.has_projectors,
        )

    @property
    def basis(self):
        """The `OrbitalBasis` of the blocks."""
        return basis_of(self.species)

    @property
    def reaches(self):
        """Dict from element symbols to the reach of the orbitals, in Å."""
        return {s: BOHR_IN_ANGSTROM * x.reach for s, x in self.species.items()}

    def describe(self):
        """Settings, source and checksum of all numbers: JSON values."""
        values = self.to_dict()
        source = values.pop("source")
        text = json.dumps(values, sort_keys=True)
        del values["species"]
        return {
            **values,
            "basis": self.basis.to_dict(),
            "source": source,
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }

    def to_dict(self):
        """JSON values of which `from_dict` makes the same, for all species.

        Radial functions are written as they are, in float64: 0.1 to 0.5 MB an
        element. Projectors of neutral-atom potentials, five times as much, are
        written where they are used.
        """
        return {
            "version": VALUES_VERSION,
            **self._settings,
            "source": self.source,
            "species": self._values(self.species),
        }

    @property
    def _settings(self):
        """What all species share."""
        return {
            "functional": functional_name(self.functional),
            "spin": self.spin,
            "grid_cutoff": float(self.grid_cutoff),
            "neutral_atoms": NEUTRAL_ATOMS[self.has_projectors],
            "damping": self.damping,
        }

    @classmethod
    def from_dict(cls, values):
        """The `ZerothStep` of `to_dict`.

        Raises:
            ValueError: if a newer version of the package wrote the values.
        """
        options = dict(values)
        version = options.pop("version")
        if version > VALUES_VERSION:
            raise ValueError(
                f"The species have the version {version}; this package reads "
                f"up to version {VALUES_VERSION}. Install a newer one."
            )
        return cls(species_from_values(options.pop("species")), **options)

    def changed(self, **settings):
        """The `ZerothStep` of the same species with other settings.

        Args:
            **settings: arguments of `ZerothStep`.
        """
        given = {
            **self._settings,
            "source": self.source,
            "workers": self.workers,
            "progress": self.progress,
        }
        new = type(self)(self.species, **{**given, **settings})
        same = (new.spin, new.has_projectors) == (
            self.spin,
            self.has_projectors,
        )
        if same and "tables" in vars(self):
            new.tables = self.tables
        return new

    def joined(self, other):
        """The `ZerothStep` of the species of both.

        Args:
            other: `ZerothStep`, whose elements may be new.

        Raises:
            ValueError: naming the setting, or the element of both, that
                differs.
        """
        for name, value in self._settings.items():
            if other._settings[name] != value:
                raise ValueError(
                    f"Species go together if `{name}` is the same. Received: "
                    f"{value!r} and {other._settings[name]!r}."
                )
        for symbol in sorted(self.species.keys() & other.species.keys()):
            if self._values([symbol]) != other._values([symbol]):
                raise ValueError(
                    f"The species of {symbol} are not the same: orbitals or "
                    f"potentials differ. The first are from {self.source}, the "
                    f"others from {other.source}. Take the files of the first."
                )
        sources = [self.source, other.source]
        is_same = sources[0] == sources[1]
        return type(self)(
            {**self.species, **other.species},
            **self._settings,
            source=self.source if is_same else {"joined": sources},
            workers=self.workers,
        )

    def _values(self, symbols):
        """JSON values of the species of some elements."""
        species = {symbol: self.species[symbol] for symbol in symbols}
        if not self.has_projectors:
            species = {
                symbol: dataclasses.replace(s, neutral_atom_projectors=None)
                for symbol, s in species.items()
            }
        return species_to_values(species)

    def _hamiltonian(self, pairs, workers):
        """H⁰ and parts of its spin-orbit coupling, as `ProjectorPart`'s."""
        tables, species = self.tables, list(self.species.values())
        entries = ProjectorPart(
            pairs, tables.couplings, tables.projectors
        ).entries(workers)
        if self.has_projectors:
            neutral = ProjectorPart(
                pairs, tables.neutral_couplings, tables.neutral_projectors
            ).entries(workers)[0]
            set_onsite(pairs, tables.neutral_onsite, neutral)
            entries[0] += neutral
        if self.damping:
            entries *= np.repeat(_damping(pairs), np.diff(pairs.boundaries))
        entries[0] += _two_centre(pairs, tables.kinetic)
        potential = SuperposedPotential(
            RealSpaceGrid.of_cutoff(pairs.cell, self.grid_cutoff),
            pairs,
            species,
            self.functional,
            has_neutral_atoms=not self.has_projectors,
        )
        local = LocalPart(potential, pairs, species)
        entries[0] += local.entries(workers, self.progress)
        return entries


def _damping_of(species):
    by_symbol = {symbol: s.damping for symbol, s in species.items()}
    if len(set(by_symbol.values())) > 1:
        raise ValueError(
            "Species of one program alone go together; these differ in "
            f"`damping`: {by_symbol}."
        )
    return any(by_symbol.values())


def _check_choice(name, value, known):
    if value not in known:
        raise ValueError(
            f"`{name}` is one of {', '.join(known)}. Received: {value!r}."
        )


def _two_centre(pairs, tables):
    """Flat entries of an operator with tables by kinds."""
    entries = np.empty((1, pairs.num_entries))
    is_first = np.arange(len(pairs.partner)) <= pairs.partner
    kinds = range(int(pairs.kinds.max()) + 1)
    for first, second in itertools.product(kinds, repeat=2):
        positions = pairs.of_kinds(first, second)
        positions = positions[is_first[positions]]
        if len(positions):
            blocks = tables[first, second].blocks(pairs.vectors[positions])
            entries[0, pairs.places(positions)] = blocks.reshape(
                len(positions), -1
            )
    return pairs.mirror(entries)[0]


def _damping(pairs):
    """`t³ (10 - 15 t + 6 t²)` of the distance t (bohr) to the reach, to 1."""
    ends = pairs.reach[pairs.atom_pairs[:, 3:]].sum(axis=1)
    t = np.clip(ends - pairs.lengths, 0.0, 1.0)
    return t**3 * (10 - 15 * t + 6 * t * t)


def _with_spin(pairs, entries):
    """Blocks `[[uu, ud], [du, dd]]` of `H + i σ·A`, A zero if not given."""
    spins = entries[1:] if len(entries) > 1 else np.zeros((3, entries.size))
    blocks = np.empty(4 * pairs.num_entries, dtype=complex)
    _fill_spin_blocks(blocks, entries[0], spins, pairs.shapes, pairs.boundaries)
    return BlockMatrix(pairs.atom_pairs, 2 * pairs.shapes, blocks)


@numba.njit(nogil=True, cache=True)
def _fill_spin_blocks(blocks, entries, spins, shapes, boundaries):
    for pair in range(len(shapes)):
        rows, columns = shapes[pair]
        source, target = boundaries[pair], 4 * boundaries[pair]
        down = 2 * rows * columns
        for u in range(rows):
            for v in range(columns):
                h = entries[source]
                x, y, z = spins[:, source]
                place = target + 2 * u * columns + v
                blocks[place] = complex(h, z)
                blocks[place + columns] = complex(y, x)
                blocks[place + down] = complex(-y, x)
                blocks[place + down + columns] = complex(h, -z)
                source += 1
