"""One DFT calculation, the object of all readers and writers."""

import dataclasses
import math
import warnings

import ase
import numpy as np

from keras_hamiltonian.conventions import SPIN_LAYOUTS
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.structures.neighbors import edge_vectors
from keras_hamiltonian.structures.soundness import check_atoms

# Of the numbers of a matrix.
TYPES = ("float64", "complex128", "float32", "complex64")


@dataclasses.dataclass
class Calculation:
    """A crystal with its matrices, in the package's units and orders.

    See `keras_hamiltonian.conventions` for units, orbital order, spin layout
    and the direction of pairs.

    Attributes:
        atoms: `ase.Atoms`. Lattice and positions in Å.
        basis: `OrbitalBasis`. The shells of each element.
        spin: str. `"none"`; `"collinear"` (real blocks, ud = du = 0);
            `"noncollinear"` (complex blocks).
        hamiltonian: `BlockMatrix` in eV, or `None`.
        overlap: `BlockMatrix`, spinless, or `None`.
        initial_hamiltonian: `BlockMatrix` in eV of the superposed atomic
            densities (H⁰), or `None`.
        fermi_level: float in eV, or `None`.
        num_electrons: float. Valence electrons per cell, or `None`.
        name: str. Name of the structure in its set.
        source: dict. Origin of the numbers: `code`, `version`, `file` and
            whatever else the reader knows; strings and numbers only. For a
            prediction, `overlap_threshold` of its bands (see `BlochMatrices`).

    Raises:
        ValueError: if blocks do not fit the atoms' orbitals, the atoms are no
            structure (see `check_atoms`), or a number is none or of half
            precision.
    """

    atoms: ase.Atoms
    basis: OrbitalBasis
    spin: str = "none"
    hamiltonian: BlockMatrix | None = None
    overlap: BlockMatrix | None = None
    initial_hamiltonian: BlockMatrix | None = None
    fermi_level: float | None = None
    num_electrons: float | None = None
    name: str = ""
    source: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.spin not in SPIN_LAYOUTS:
            raise ValueError(
                f"`spin` is one of {SPIN_LAYOUTS}. Received: {self.spin!r}."
            )
        check_atoms(self.atoms)
        for field, lowest in (("fermi_level", -math.inf), ("num_electrons", 0)):
            value = getattr(self, field)
            if value is not None:
                self._check_number(field, value, lowest)
        doubling = 1 if self.spin == "none" else 2
        for field, factor in (
            ("hamiltonian", doubling),
            ("initial_hamiltonian", doubling),
            ("overlap", 1),
        ):
            matrix = getattr(self, field)
            if matrix is not None:
                self._check_type(field, matrix)
                self._check_shapes(field, matrix, factor)

    @property
    def overlap_threshold(self):
        """Overlap threshold of the source: float, or `None`."""
        return self.source.get("overlap_threshold")

    def warn_of_threshold(self, format):
        """Warns that a file cannot store the overlap threshold.

        Args:
            format: str. Name of the format.
        """
        if self.overlap_threshold is not None:
            warnings.warn(
                f"The bands of {self.name!r} leave out combinations of "
                f"orbitals of norms below {self.overlap_threshold:g}, which "
                f"files of the format {format} cannot store: another program "
                "may find spurious levels.",
                stacklevel=3,
            )

    @property
    def is_spinful(self):
        """Whether blocks of the Hamiltonian have spin."""
        return self.spin != "none"

    @property
    def num_orbitals(self):
        """`(num_atoms,)` int array: orbitals of each atom, without spin."""
        return np.array(
            [self.basis.num_orbitals(z) for z in self.atoms.numbers], dtype=int
        )

    def edge_vectors(self, atom_pairs):
        """Edge vectors of pairs `(R1, R2, R3, i, j)`: `(P, 3)` in Å."""
        return edge_vectors(self.atoms, atom_pairs)

    def _check_number(self, field, value, lowest):
        is_number = isinstance(value, int | float | np.number)
        if not is_number or not lowest <= value < math.inf:
            raise ValueError(
                f"`{field}` of {self.name or 'the structure'} is a number "
                + ("in eV" if lowest < 0 else "of 0 or more")
                + f", or None. Received: {value!r}."
            )

    def _check_type(self, field, matrix):
        if matrix.entries.dtype.name not in TYPES:
            raise ValueError(
                f"`{field}` of {self.name or 'the structure'} has numbers of "
                f"the type {matrix.entries.dtype}; expected {', '.join(TYPES)}."
                " The three digits of half precision do not give levels: "
                "write the matrix anew from the run."
            )

    def _check_shapes(self, field, matrix, factor):
        pairs = matrix.atom_pairs
        num_atoms = len(self.atoms)
        if len(pairs) and not (
            0 <= pairs[:, 3:].min() and pairs[:, 3:].max() < num_atoms
        ):
            raise ValueError(
                f"`{field}` of {self.name or 'the structure'} names atom "
                f"{int(pairs[:, 3:].max())}, but there are {num_atoms} atoms "
                "(counted from 0)."
            )
        expected = factor * self.num_orbitals[pairs[:, 3:]]
        wrong = np.flatnonzero((expected != matrix.shapes).any(axis=1))
        if wrong.size:
            k = wrong[0]
            raise ValueError(
                f"Block {tuple(pairs[k].tolist())} of `{field}` of "
                f"{self.name or 'the structure'} has the shape "
                f"{tuple(matrix.shapes[k].tolist())}; the basis "
                f"{self.basis.to_dict()} with spin={self.spin!r} needs "
                f"{tuple(expected[k].tolist())}."
            )
