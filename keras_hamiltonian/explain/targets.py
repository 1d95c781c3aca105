"""Targets of explanations: numbers of a predicted Hamiltonian."""

import dataclasses

import numpy as np
from ase.data import atomic_numbers

from keras_hamiltonian.metrics.labels import shell_names
from keras_hamiltonian.orbitals.table_blocks import table_mask
from keras_hamiltonian.physics.k_points import periodic_directions


@dataclasses.dataclass(frozen=True)
class BlockTarget:
    """The block of one pair of atoms, or a part of it.

    Its size is the Frobenius norm, which is invariant under rotations of the
    crystal, both for whole blocks and for pairs of shells.

    Attributes:
        i, j: int. Atoms, from 0. `i == j` without a shift is an onsite block.
        shift: three ints. Cell of atom j.
        rows, columns: str or int. Name of a shell of atom i and of atom j, as
            in reports (`"p1"`: the first p shell), or the number of one
            orbital. Defaults to all.
        correction: bool. Only the correction of the second stage.

    Example:

    >>> BlockTarget(0, 1, rows="p1", columns="p1").label
    'H(0, 1) p1-p1'
    """

    i: int
    j: int
    shift: tuple = (0, 0, 0)
    rows: str | int | None = None
    columns: str | int | None = None
    correction: bool = False

    @property
    def label(self):
        """The target in a few words."""
        name = "ΔH" if self.correction else "H"
        cell = f", cell {tuple(self.shift)}" if any(self.shift) else ""
        part = ""
        if self.rows is not None or self.columns is not None:
            ends = (
                "all" if k is None else k for k in (self.rows, self.columns)
            )
            part = " " + "-".join(map(str, ends))
        return f"{name}({self.i}, {self.j}{cell}){part}"

    def entries(self, graph):
        """Positions of the target's numbers.

        Args:
            graph: `FixedGraph`.

        Returns:
            `"onsite"` or `"hopping"`, and the flat positions in that output.

        Raises:
            ValueError: if there is no such pair, shell or orbital.
        """
        self._check_atoms(graph.atoms)
        what, place = self._place(graph)
        mask = table_mask(*graph.species[[self.i, self.j]], graph.model.basis)
        for end, (atom, part) in enumerate(
            ((self.i, self.rows), (self.j, self.columns))
        ):
            if part is not None:
                kept = np.zeros(len(mask), dtype=bool)
                kept[_table_rows(graph, atom, part)] = True
                mask &= kept[:, None] if end == 0 else kept
        return what, place * graph.block_size + _in_block(mask, graph)

    def repeated(self, atoms, repeat):
        """The same pair in the middle of a supercell.

        Args:
            atoms: `ase.Atoms` of the small cell.
            repeat: three ints. Cells along each lattice vector.

        Returns:
            `BlockTarget` for `atoms.repeat(repeat)`.
        """
        repeat = np.asarray(repeat)
        first = (repeat - 1) // 2
        shift, second = np.divmod(first + np.asarray(self.shift), repeat)
        num_atoms = len(atoms)
        i, j = (
            int(np.ravel_multi_index(cell, repeat)) * num_atoms + atom
            for cell, atom in ((first, self.i), (second, self.j))
        )
        return dataclasses.replace(self, i=i, j=j, shift=tuple(shift.tolist()))

    def center(self, atoms):
        """Middle of the pair, `(3,)` Å.

        Raises:
            ValueError: if there is no such atom.
        """
        self._check_atoms(atoms)
        ends = atoms.positions[[self.i, self.j]]
        return ends.mean(axis=0) + np.array(self.shift) @ atoms.cell / 2

    def _check_atoms(self, atoms):
        num_atoms = len(atoms)
        for atom in (self.i, self.j):
            if not 0 <= atom < num_atoms:
                raise ValueError(
                    f"The structure has the atoms 0 to {num_atoms - 1}. "
                    f"Received: a pair with atom {atom}."
                )

    def _place(self, graph):
        if self.i == self.j and not any(self.shift):
            return "onsite", self.i
        wanted = (*self.shift, self.i, self.j)
        found = np.flatnonzero((graph.pairs == wanted).all(axis=1))
        if not len(found):
            others = [
                f"({j}, {tuple(shift)})"
                for *shift, i, j in graph.pairs.tolist()
                if i == self.i and (j != i or any(shift))
            ]
            raise ValueError(
                f"Atom {self.j} in the cell {tuple(self.shift)} is out of the "
                f"reach of atom {self.i}: their block is zero. Within reach "
                f"are {len(others)}, as (atom, cell): "
                f"{', '.join(others[:8])}{' ...' * (len(others) > 8)}"
            )
        return "hopping", int(
            np.flatnonzero(graph.table.pair_positions == found[0])[0]
        )


@dataclasses.dataclass(frozen=True)
class KindTarget:
    """All blocks of one kind: onsite, or hoppings of two elements.

    Each edge counts once. Between two elements it is the block from the first
    to the second; between equal ones both directions have the same norm.

    Attributes:
        first, second: str. Symbols of the elements. Defaults to one element.
        onsite: bool. Onsite blocks instead of hoppings.
        correction: bool. Only the correction of the second stage.
    """

    first: str
    second: str | None = None
    onsite: bool = False
    correction: bool = False

    @property
    def label(self):
        """The target in a few words."""
        name = "ΔH" if self.correction else "H"
        if self.onsite:
            return f"{name} onsite {self.first}"
        return f"{name} hopping {self.first}-{self.second or self.first}"

    def entries(self, graph):
        """See `BlockTarget`.

        Raises:
            ValueError: if the structure has no such block.
        """
        known = set(graph.atoms.get_chemical_symbols())
        second = self.second or self.first
        for symbol in (self.first, second):
            if symbol not in known:
                raise ValueError(
                    f"The structure has {', '.join(sorted(known))}. Received: "
                    f"blocks of {symbol!r}."
                )
        if self.onsite and second != self.first:
            raise ValueError(
                "An onsite block has one element. Received: "
                f"{self.first}-{second}. Leave out `second`, or `onsite`."
            )
        number = graph.model.basis.species
        one, other = (number[atomic_numbers[s]] for s in (self.first, second))
        if self.onsite:
            what, chosen = "onsite", graph.species == one
        else:
            ends = graph.species[graph.table.neighbors]
            what = "hopping"
            chosen = (
                (graph.species[:, None] == one)
                & (ends == other)
                & graph.table.edge_mask
            )
            if one == other:
                once = np.zeros(chosen.shape, dtype=bool)
                once.flat[graph.edges()[1]] = True
                chosen &= once
        mask = table_mask(np.array(one), np.array(other), graph.model.basis)
        places = np.flatnonzero(chosen)
        if not len(places):
            raise ValueError(
                f"No two atoms {self.first}-{second} are within reach."
            )
        inner = _in_block(mask, graph)
        return what, (places[:, None] * graph.block_size + inner).ravel()

    def repeated(self, atoms, repeat):
        """The same target: it has no place in the cell."""
        return self

    def center(self, atoms):
        """`None`: it has no place in the cell."""
        return None


def repeats_for(atoms, width):
    """Cells along each lattice vector of a supercell of some width.

    In a small cell, the influence of an atom is that of all its images. In a
    supercell, images within half of its width are separate atoms.

    Args:
        atoms: `ase.Atoms`.
        width: float. Smallest distance of lattice planes, in Å.

    Returns:
        Three ints; 1 along directions that are not periodic or vacuum.
    """
    heights = 1 / np.linalg.norm(atoms.cell.complete().reciprocal(), axis=1)
    repeat = np.maximum(np.ceil(width / heights - 1e-9), 1).astype(int)
    return tuple(np.where(periodic_directions(atoms), repeat, 1).tolist())


def _in_block(mask, graph):
    """Flat positions within one block, of all spin parts."""
    inner = np.flatnonzero(mask)
    parts = np.arange(graph.block_size // mask.size)[:, None] * mask.size
    return (parts + inner).ravel()


def _table_rows(graph, atom, part):
    basis = graph.model.basis
    symbol = graph.atoms[atom].symbol
    rows = basis.table_rows(symbol)
    if isinstance(part, str):
        names = shell_names(basis)
        sizes = [2 * l + 1 for l in basis.table_shells]
        of_row = np.repeat(np.arange(len(names)), sizes)
        own = [names[k] for k in dict.fromkeys(of_row[rows].tolist())]
        if part not in own:
            raise ValueError(
                f"Atom {atom} ({symbol}) has the shells {', '.join(own)}. "
                f"Received: {part!r}."
            )
        return np.flatnonzero(of_row == names.index(part))
    if not 0 <= part < len(rows):
        raise ValueError(
            f"Atom {atom} ({symbol}) has the orbitals 0 to {len(rows) - 1}. "
            f"Received: {part}."
        )
    return rows[[part]]
