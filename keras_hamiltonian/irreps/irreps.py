"""Names of representations: `"64x0e + 32x1o"`."""

import functools
import re
import typing

import numpy as np

from keras_hamiltonian.irreps.wigner import wigner_d_matrix


class Irrep(typing.NamedTuple):
    """One irreducible representation of O(3).

    Attributes:
        l: int. Degree; the dimension is 2l + 1.
        p: int. Parity, 1 (even, written e) or -1 (odd, written o): the sign
            under inversion.

    Example:

    >>> Irrep.parse("1o").dim
    3
    >>> str(Irrep(2, 1)), Irrep(2, 1).is_natural, Irrep(1, 1).is_natural
    ('2e', True, False)
    """

    l: int
    p: int

    @classmethod
    def parse(cls, name):
        """From a name such as `"1o"`."""
        match = re.fullmatch(r"\s*(\d+)\s*([eo])\s*", str(name))
        if match is None:
            raise ValueError(
                "An irrep is a degree and a parity letter, e or o, for "
                f'example "1o". Received: {name!r}.'
            )
        return cls(int(match[1]), 1 if match[2] == "e" else -1)

    @property
    def dim(self):
        """Number of components."""
        return 2 * self.l + 1

    @property
    def is_natural(self):
        """Whether the parity is that of the spherical harmonics, (-1)^l."""
        return self.p == (-1) ** self.l

    def __str__(self):
        return f"{self.l}{'e' if self.p == 1 else 'o'}"


class Irreps(tuple):
    """A direct sum of irreps with multiplicities, read from a string.

    Args:
        terms: str, `Irreps`, or an iterable of (multiplicity, `Irrep`). A term
            of a string is `"1o"` or `"32x1o"`; terms are joined by `+`.

    Example:

    >>> irreps = Irreps("8x0e + 4x1o + 2e")
    >>> irreps.dim, irreps.lmax, irreps.count("1o")
    (25, 2, 4)
    >>> str(irreps)
    '8x0e+4x1o+1x2e'
    """

    def __new__(cls, terms=""):  # noqa: D102
        if isinstance(terms, Irreps):
            return terms
        if isinstance(terms, str):
            parts = [t for t in terms.split("+") if t.strip()]
            terms = [_parse_term(part, terms) for part in parts]
        return super().__new__(
            cls, [(int(mul), Irrep(*irrep)) for mul, irrep in terms]
        )

    @property
    def dim(self):
        """Number of components of the whole sum."""
        return sum(mul * irrep.dim for mul, irrep in self)

    @property
    def num_irreps(self):
        """Number of irreps, multiplicities counted."""
        return sum(mul for mul, _ in self)

    @property
    def lmax(self):
        """Largest degree.

        Raises:
            ValueError: if there is no irrep.
        """
        if not self:
            raise ValueError("Empty irreps have no largest degree.")
        return max(irrep.l for _, irrep in self)

    def count(self, irrep):
        """Multiplicity of one irrep in the whole sum."""
        wanted = irrep if isinstance(irrep, Irrep) else Irrep.parse(irrep)
        return sum(mul for mul, irrep in self if irrep == wanted)

    def slices(self):
        """The slice of components that each term occupies."""
        stops = np.cumsum([mul * irrep.dim for mul, irrep in self]).tolist()
        return [slice(a, b) for a, b in zip([0, *stops], stops)]

    def regrouped(self):
        """Equal irreps in one term, by degree, e before o."""
        kinds = sorted({irrep for _, irrep in self}, key=lambda i: (i.l, -i.p))
        return Irreps([(self.count(i), i) for i in kinds if self.count(i)])

    def d_matrix(self, rotation):
        """Matrix by which one rotation (proper or not) acts, `ir_mul` layout.

        Components are outer and channels inner: the layout of this package.

        Args:
            rotation: `(3, 3)` orthogonal matrix.

        Returns:
            `(dim, dim)` float64 array, new = D @ old.
        """
        rotation = np.asarray(rotation, dtype=np.float64)
        sign = np.sign(np.linalg.det(rotation))
        blocks = [
            np.kron(
                wigner_d_matrix(irrep.l, sign * rotation)
                * (1 if sign > 0 else irrep.p),
                np.eye(mul),
            )
            for mul, irrep in self
        ]
        matrix = np.zeros((self.dim, self.dim))
        for where, block in zip(self.slices(), blocks):
            matrix[where, where] = block
        return matrix

    def __add__(self, other):
        return Irreps(tuple(self) + tuple(Irreps(other)))

    def __str__(self):
        return "+".join(f"{mul}x{irrep}" for mul, irrep in self)

    def __repr__(self):
        return f"Irreps({str(self)!r})"


@functools.cache
def _parse_term(part, whole):
    match = re.fullmatch(r"\s*(?:(\d+)\s*x)?\s*(\d+\s*[eo])\s*", part)
    if match is None:
        raise ValueError(
            f"Cannot read the term {part.strip()!r} of the irreps {whole!r}. "
            'Expected terms such as "32x1o" joined by "+".'
        )
    return (int(match[1] or 1), Irrep.parse(match[2]))
