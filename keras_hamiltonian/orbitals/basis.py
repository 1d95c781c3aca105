"""Shells of each element, which give every matrix block its shape."""

import re

import numpy as np
from ase.data import atomic_numbers
from ase.data import chemical_symbols

from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.orbitals.whole_numbers import whole_numbers

# Of one element.
MOST_SHELLS = 200


class OrbitalBasis:
    """The shells of each element, and one common table that holds them all.

    Blocks of different elements have different sizes. The network writes all
    of them into one table of `num_rows` rows and columns: for each degree l
    the largest number of shells that any element has. The k-th shell of degree
    l of an element sits at the k-th shell of degree l of the table; what an
    element does not have is masked.

    Args:
        shells: dict. For each element symbol either a string that counts the
            shells of each degree, `"2s 2p 1d"`, or the list of the degrees
            shell by shell, `[0, 0, 1, 1, 2]`.

    Raises:
        ValueError: for an unknown element or an unreadable shell.

    Example:

    >>> basis = OrbitalBasis({"Mo": "3s 2p 2d", "S": "2s 2p 1d"})
    >>> basis.num_orbitals("Mo"), basis.num_orbitals("S"), basis.num_rows
    (19, 13, 19)
    >>> basis.table_shells
    (0, 0, 0, 1, 1, 2, 2)
    >>> basis.table_rows("S")
    array([ 0,  1,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13])
    """

    def __init__(self, shells):
        if not shells:
            raise ValueError(
                "A basis needs at least one element, for example "
                '{"C": "2s 2p 1d"}. Received: an empty table.'
            )
        self.shells = {
            symbol: _degrees(symbol, spec)
            for symbol, spec in sorted(shells.items())
        }

    @property
    def symbols(self):
        """Tuple of element symbols, sorted; the position is the species."""
        return tuple(self.shells)

    @property
    def species(self):
        """Dict from atomic number to species index."""
        return {atomic_numbers[s]: k for k, s in enumerate(self.symbols)}

    @property
    def lmax(self):
        """Largest degree of any shell."""
        return max(max(degrees) for degrees in self.shells.values())

    def num_orbitals(self, element):
        """Number of orbitals of an element (symbol or atomic number)."""
        return sum(2 * l + 1 for l in self.shells[self._symbol(element)])

    @property
    def table_shells(self):
        """Degrees of the common table's shells, ascending."""
        return tuple(
            l
            for l in range(self.lmax + 1)
            for _ in range(max(d.count(l) for d in self.shells.values()))
        )

    @property
    def num_rows(self):
        """Rows (and columns) of the common table."""
        return sum(2 * l + 1 for l in self.table_shells)

    def block_shape(self, spin="none"):
        """Shape of one block of the common table: a tuple of int.

        Args:
            spin: str. Spin layout; with spin real and imaginary part and the
                spins of row and column come first.
        """
        rows = self.num_rows
        return (rows, rows) if spin == "none" else (2, 2, 2, rows, rows)

    def table_rows(self, element):
        """Rows of the common table that an element's orbitals occupy.

        Args:
            element: str or int. Symbol or atomic number.

        Returns:
            `(num_orbitals,)` int array, in the order of the element's own
            orbitals.
        """
        table = list(self.table_shells)
        starts = np.cumsum([0] + [2 * l + 1 for l in table])
        seen = {}
        rows = []
        for l in self.shells[self._symbol(element)]:
            shell = table.index(l) + seen.get(l, 0)
            seen[l] = seen.get(l, 0) + 1
            rows.append(np.arange(starts[shell], starts[shell + 1]))
        return np.concatenate(rows)

    def covers(self, other):
        """Whether every element of `other` is here with the same shells."""
        return all(self.shells.get(s) == d for s, d in other.shells.items())

    def union(self, other):
        """Basis with the elements of both.

        Raises:
            ValueError: if they give one element different shells.
        """
        for symbol in set(self.shells) & set(other.shells):
            if self.shells[symbol] != other.shells[symbol]:
                raise ValueError(
                    f"Element {symbol} has the shells {self.shells[symbol]} "
                    f"in one basis and {other.shells[symbol]} in the other. "
                    "One model needs one basis per element."
                )
        return OrbitalBasis({**self.shells, **other.shells})

    def to_dict(self):
        """JSON-ready form: `{"C": "2s 2p 1d"}`, or lists of degrees where the
        shells are not in ascending order of degree."""
        return {s: _spec(degrees) for s, degrees in self.shells.items()}

    def _symbol(self, element):
        symbol = (
            element
            if isinstance(element, str)
            else chemical_symbols[int(element)]
        )
        if symbol not in self.shells:
            raise ValueError(
                f"Element {symbol} is not in the basis, which knows "
                f"{', '.join(self.symbols)}. Add its shells, for example "
                f'{{"{symbol}": "2s 2p 1d"}}.'
            )
        return symbol

    def __eq__(self, other):
        return isinstance(other, OrbitalBasis) and self.shells == other.shells

    def __hash__(self):
        return hash(tuple(self.shells.items()))

    def __repr__(self):
        return f"OrbitalBasis({self.to_dict()})"


def repeated_degrees(counts):
    """Degrees of shells that a file counts.

    Args:
        counts: iterable of a degree and how many shells have it.

    Returns:
        List of int; of each degree no more than `OrbitalBasis` refuses,
        however many a damaged file asks for.
    """
    return [
        l for l, count in counts for _ in range(min(count, MOST_SHELLS + 1))
    ]


def _degrees(symbol, spec):
    if symbol not in atomic_numbers:
        raise ValueError(f"{symbol!r} is not the symbol of an element.")
    if isinstance(spec, str):
        found = re.findall(rf"(\d+)\s*([{SHELL_LETTERS}])", spec)
        if not found or re.sub(rf"\d+\s*[{SHELL_LETTERS}]|[\s,+]", "", spec):
            raise ValueError(
                f"Cannot read the shells {spec!r} of {symbol}. Expected counts "
                'and letters, for example "2s 2p 1d".'
            )
        counts = [(SHELL_LETTERS.index(l), int(count)) for count, l in found]
        degrees = repeated_degrees(counts)
    else:
        degrees = whole_numbers(spec, f"degrees of the shells of {symbol}")
        degrees = degrees.ravel().tolist()
    if not 1 <= len(degrees) <= MOST_SHELLS or not 0 <= min(degrees) <= max(
        degrees
    ) < len(SHELL_LETTERS):
        raise ValueError(
            f"{symbol} needs 1 to {MOST_SHELLS} shells of degrees 0 to "
            f"{len(SHELL_LETTERS) - 1}. Received: {str(spec)[:80]!r}."
        )
    return tuple(degrees)


def _spec(degrees):
    if list(degrees) != sorted(degrees):
        return list(degrees)
    return " ".join(
        f"{degrees.count(l)}{SHELL_LETTERS[l]}" for l in sorted(set(degrees))
    )
