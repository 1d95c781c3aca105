"""Parts of a crystal, each with all atoms that its atoms depend on."""

import dataclasses

import numpy as np
from scipy.sparse import csr_matrix


@dataclasses.dataclass(frozen=True, eq=False)
class Slab:
    """Atoms that are computed together.

    Attributes:
        own: `(N,)` bools. The atoms whose results are wanted.
        region: `(N,)` bools. They, and all atoms that they depend on.
    """

    own: np.ndarray
    region: np.ndarray

    @property
    def atoms(self):
        """Numbers of the atoms of the region, ascending int array."""
        return np.flatnonzero(self.region)

    def rows(self, atom_pairs):
        """Positions of the pairs that start at its own atoms.

        Args:
            atom_pairs: `(P, 5)` int array of the whole crystal.
        """
        return np.flatnonzero(self.own[atom_pairs[:, 3]])

    def pairs(self, atom_pairs):
        """Positions of the pairs within the region, and the same pairs with
        the atoms numbered as in `atoms`.

        Args:
            atom_pairs: `(P, 5)` int array of the whole crystal.
        """
        positions = np.flatnonzero(self.region[atom_pairs[:, 3:]].all(axis=1))
        number = np.cumsum(self.region) - 1
        pairs = atom_pairs[positions]
        return positions, np.hstack([pairs[:, :3], number[pairs[:, 3:]]])


class Links:
    """Which atoms of a crystal are neighbours.

    Args:
        num_atoms: int.
        atom_pairs: `(P, 5)` int array of `(R1, R2, R3, i, j)`.
    """

    def __init__(self, num_atoms, atom_pairs):
        first, second = np.asarray(atom_pairs)[:, 3:].T
        ones = np.ones(len(first), dtype=np.int32)
        shape = (num_atoms, num_atoms)
        self._matrix = csr_matrix((ones, (first, second)), shape)

    def around(self, atoms, steps):
        """Atoms within a number of steps from neighbour to neighbour.

        Args:
            atoms: `(N,)` bools.
            steps: int.

        Returns:
            `(N,)` bools, the atoms themselves among them.
        """
        found = np.asarray(atoms, dtype=np.int32)
        for _ in range(steps):
            found = ((found + self._matrix @ found) > 0).astype(np.int32)
        return found > 0


def divide(atoms, links, steps, largest):
    """Divides a crystal until every region is small enough.

    What is too large is halved across its longest side.

    Args:
        atoms: `ase.Atoms`.
        links: `Links`.
        steps: int. How many steps from neighbour to neighbour an atom
            depends on others.
        largest: int. Most atoms of a region.

    Returns:
        List of `Slab`; every atom is an own one of exactly one of them.

    Raises:
        TooSmall: if a single atom depends on more atoms.
    """
    cell = atoms.cell.complete()
    places = atoms.positions @ np.linalg.inv(np.asarray(cell))
    periodic = np.asarray(atoms.pbc)
    places[:, periodic] %= 1.0
    places *= cell.lengths()
    found, waiting = [], [np.arange(len(atoms))]
    while waiting:
        chosen = waiting.pop()
        own = np.zeros(len(atoms), dtype=bool)
        own[chosen] = True
        region = links.around(own, steps)
        if region.sum() <= largest:
            found.append(Slab(own, region))
            continue
        if len(chosen) == 1:
            raise TooSmall(int(region.sum()))
        sides = np.ptp(places[chosen], axis=0)
        order = np.argsort(places[chosen, sides.argmax()], kind="stable")
        half = len(chosen) // 2
        waiting += [chosen[order[half:]], chosen[order[:half]]]
    return found


class TooSmall(ValueError):
    """A region of the size that was asked for does not hold what one atom
    depends on.

    Args:
        needed: int. The atoms that it depends on.
    """

    def __init__(self, needed):
        super().__init__(f"One atom depends on {needed} atoms.")
        self.needed = needed
