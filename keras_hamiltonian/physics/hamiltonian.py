"""Hamiltonian and overlap of a crystal as sparse matrices, H(R) and H(k)."""

import functools

import numpy as np
import scipy.sparse

from keras_hamiltonian.orbitals.block_matrix import PART
from keras_hamiltonian.physics.solvers.dissection import Dissection
from keras_hamiltonian.physics.solvers.factorization import factorize

# A file rounds its numbers and a network computes in float32; a larger
# deviation means that pairs are missing or swapped.
HERMITIAN_TOLERANCE = 1e-3
# Larger matrices are never made dense: 8000 orbitals are 1 GB each, complex.
LARGEST_DENSE = 8000


class BlochMatrices:
    """Sparse H(R), S(R), H(k) and S(k) of one crystal.

    `H(k) = Σ_R H(R) exp(2πi k·R)` with fractional k. The orbitals are
    ordered atom by atom; with spin all up orbitals of an atom come first, then
    all down, and the spinless overlap is repeated for both. H and S may list
    different pairs: what is not listed is zero.

    Args:
        hamiltonian: `BlockMatrix` in eV.
        overlap: `BlockMatrix`, spinless. `None` for orthogonal orbitals.
        num_orbitals: `(num_atoms,)` ints. Orbitals of each atom, without spin.
        overlap_threshold: float. Combinations of orbitals whose norm
            (eigenvalue of S(k)) is smaller are left out (see `states`). For
            predicted Hamiltonians: their error is divided by that norm.
            Defaults to none.
        max_memory: str such as `"4GB"`, or number of bytes. Limit of the
            process while sparse solvers work, see `factorize`. Defaults to
            none.

    Attributes:
        overlap_threshold: float or `None`; may be set.
        max_memory: the argument; may be set.
        spinful: bool. Whether the Hamiltonian carries spin.
        size: int. Rows of H(k), spin included.
        num_orbitals: `(num_atoms,)` ints. Rows of each atom, spin included.

    Raises:
        ValueError: if blocks do not fit `num_orbitals`, or if the Hamiltonian
            or the overlap is not Hermitian.

    Example:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> chain = BlockMatrix.from_blocks(
    ...     [(0, 0, 0, 0, 0), (1, 0, 0, 0, 0), (-1, 0, 0, 0, 0)],
    ...     [np.eye(1), -np.eye(1), -np.eye(1)],
    ... )
    >>> BlochMatrices(chain, None, [1]).hamiltonian_at([0.5, 0, 0]).toarray()
    array([[3.]])
    """

    def __init__(
        self,
        hamiltonian,
        overlap,
        num_orbitals,
        overlap_threshold=None,
        max_memory=None,
    ):
        self.overlap_threshold = overlap_threshold
        self.max_memory = max_memory
        num_orbitals = np.asarray(num_orbitals, dtype=np.int64)
        self.spinful = _is_spinful(hamiltonian, num_orbitals)
        factor = 2 if self.spinful else 1
        self.num_orbitals = factor * num_orbitals
        self.size = int(self.num_orbitals.sum())
        self._hamiltonian = BlochSum(
            "Hamiltonian", hamiltonian, self.num_orbitals, copies=1
        )
        self._overlap = None
        if overlap is not None:
            self._overlap = BlochSum(
                "overlap", overlap, num_orbitals, factor, self._hamiltonian
            )

    @classmethod
    def from_calculation(cls, calculation, max_memory=None):
        """From a `Calculation` that holds a Hamiltonian.

        Args:
            calculation: `Calculation`.
            max_memory: see `BlochMatrices`.

        Raises:
            ValueError: if the calculation has no Hamiltonian or no overlap.
        """
        for field in ("hamiltonian", "overlap"):
            if getattr(calculation, field) is None:
                raise ValueError(
                    f"The structure {calculation.name!r} has no `{field}`, and "
                    "energies need it. Take a calculation that has it, or a "
                    "model: `kh.predict(model, atoms)` gives both matrices, "
                    "`kh.ElectronicStructure(calculation, model)` the overlap, "
                    "and so does --model on the command line. A model without "
                    "an overlap gets one by `model.overlap = TwoCentreOverlap."
                    "fit(...)` before it is saved. For orthogonal orbitals "
                    "write BlochMatrices(hamiltonian, None, num_orbitals)."
                )
        return cls(
            calculation.hamiltonian,
            calculation.overlap,
            calculation.num_orbitals,
            calculation.overlap_threshold,
            max_memory,
        )

    @property
    def translations(self):
        """Lattice translations R of the Hamiltonian: `(num_R, 3)` ints."""
        return self._hamiltonian.translations

    @property
    def periodic(self):
        """`(3,)` bools: lattice directions along which orbitals connect."""
        return (self.translations != 0).any(axis=0)

    @functools.cached_property
    def dissection(self):
        """The `Dissection` of the atoms, for `HermitianFactors`."""
        sums = [m for m in (self._hamiltonian, self._overlap) if m is not None]
        pairs = np.concatenate([m.atom_pairs[:, 3:] for m in sums])
        graph = scipy.sparse.coo_matrix(
            (np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])),
            shape=(len(self.num_orbitals),) * 2,
        )
        return Dissection(graph.tocsr(), self.num_orbitals)

    def factorize(self, matrix, solver="multifrontal"):
        """Factors of a matrix with the couplings of H(k), see `factorize`."""
        return factorize(matrix, self.dissection, solver, self.max_memory)

    def rows(self, atom):
        """Rows of H(k) that belong to an atom: int array."""
        stop = int(self.num_orbitals[: atom + 1].sum())
        return np.arange(stop - self.num_orbitals[atom], stop)

    def hamiltonian_in_cell(self, translation):
        """H(R) as a CSR matrix `(size, size)`, in eV; zero if not listed."""
        return self._hamiltonian.in_cell(translation)

    def overlap_in_cell(self, translation):
        """S(R) as a CSR matrix `(size, size)`; zero if not listed."""
        if self._overlap is None:
            home = not np.any(translation)
            return scipy.sparse.identity(self.size, format="csr") * float(home)
        return self._overlap.in_cell(translation)

    def hamiltonian_at(self, k_point, derivative=()):
        """H(k) at a fractional wave vector: CSR `(size, size)`, in eV.

        It is real where it can be: at k = -k, up to reciprocal vectors, if
        H(R) is real. The numbers may be changed, the pattern, which all
        matrices share, may not: take `.copy()` for `eliminate_zeros` and the
        like.

        Args:
            k_point: three floats, fractional.
            derivative: ints. Components of k by which to differentiate, for
                example `(0, 0)` for the second derivative by the first.
        """
        return self._hamiltonian.at(k_point, derivative)

    def overlap_at(self, k_point, derivative=()):
        """S(k), or a derivative, like `hamiltonian_at`."""
        if self._overlap is None:
            identity = scipy.sparse.identity(self.size, format="csr")
            return identity * (0.0 if len(derivative) else 1.0)
        return self._overlap.at(k_point, derivative)

    def dense_at(self, k_point):
        """H(k) in eV and S(k): two Hermitian `(size, size)` arrays.

        Raises:
            ValueError: if they have more than `LARGEST_DENSE` rows.
        """
        if self.size > LARGEST_DENSE:
            raise ValueError(
                f"{self.size} orbitals are too many for dense matrices (at "
                f"most {LARGEST_DENSE}). Ask for a part of the states: "
                "`nearest_states` or `states_in_window`."
            )
        matrices = []
        for matrix in (self.hamiltonian_at(k_point), self.overlap_at(k_point)):
            dense = matrix.toarray()
            matrices.append((dense + dense.conj().T) / 2)
        return tuple(matrices)

    def __repr__(self):
        return (
            f"BlochMatrices({self.size} orbitals, "
            f"{len(self.translations)} translations, spinful={self.spinful})"
        )


class BlochSum:
    """Sums over R in one CSR pattern, which is the same for every k.

    Args:
        name: str. For errors.
        matrix: `BlockMatrix` whose blocks have `num_orbitals` rows.
        num_orbitals: `(num_atoms,)` ints.
        copies: int. 2 to put a spinless block on both spins.
        other: `BlochSum`, whose pattern is taken if it has the same blocks;
            then matrices of both share it in memory. Defaults to `None`.
    """

    def __init__(self, name, matrix, num_orbitals, copies, other=None):
        _check_shapes(matrix, num_orbitals)
        _check_hermitian(name, matrix)
        self.atom_pairs = matrix.atom_pairs
        translations, shift = np.unique(
            matrix.atom_pairs[:, :3], axis=0, return_inverse=True
        )
        self.translations = translations
        self.shift = np.tile(shift.reshape(-1), copies)
        self.shapes = np.tile(matrix.shapes, (copies, 1))
        self.entries = matrix.entries
        if copies > 1:
            self.entries = np.tile(matrix.entries, copies)
        # The rows of one spin of one atom have the same columns.
        self.sizes = np.repeat(num_orbitals, copies)
        self.nodes = np.concatenate(
            [copies * matrix.atom_pairs[:, 3:] + s for s in range(copies)]
        )
        if other is not None and self._has_blocks_of(other):
            self.pointers, self.columns = other.pointers, other.columns
            self.places = other.places
        else:
            self._make_pattern()

    def at(self, k_point, derivative=()):
        """The sum, or a derivative, as `BlochMatrices.hamiltonian_at`."""
        k_point = np.asarray(k_point, dtype=np.float64)
        if k_point.shape != (3,):
            raise ValueError(
                "A wave vector has three fractional components. Received: "
                f"{k_point.tolist()}."
            )
        turns = self.translations @ k_point
        phases = np.exp(2j * np.pi * turns)
        if (turns * 2 == np.round(turns * 2)).all():
            phases = np.where(turns == np.round(turns), 1.0, -1.0)
        for component in derivative:
            phases = phases * (2j * np.pi * self.translations[:, component])
        if not phases.imag.any():
            phases = phases.real
        counts = self.shapes.prod(axis=1)
        values = self.entries * np.repeat(phases[self.shift], counts)
        return self._csr(_sum_at(self.places, values, len(self.columns)))

    def in_cell(self, translation):
        """The matrix of one lattice translation."""
        match = (self.translations == np.asarray(translation)).all(axis=1)
        chosen = np.repeat(match[self.shift], self.shapes.prod(axis=1))
        values = _sum_at(
            self.places[chosen], self.entries[chosen], len(self.columns)
        )
        matrix = self._csr(values).copy()
        matrix.eliminate_zeros()
        return matrix

    def _csr(self, values):
        """Its pattern is that of all matrices, and cannot be changed."""
        size = len(self.pointers) - 1
        # Pickling forgets it.
        self.columns.flags.writeable = self.pointers.flags.writeable = False
        return scipy.sparse.csr_matrix(
            (values, self.columns, self.pointers), shape=(size, size)
        )

    def _has_blocks_of(self, other):
        return np.array_equal(self.sizes, other.sizes) and np.array_equal(
            self.nodes, other.nodes
        )

    def _make_pattern(self):
        """Columns and row pointers, and the place of each stored number."""
        num_nodes = len(self.sizes)
        blocks, block = np.unique(
            self.nodes[:, 0] * num_nodes + self.nodes[:, 1],
            return_inverse=True,
        )
        first, second = np.divmod(blocks, num_nodes)
        widths = np.bincount(first, self.sizes[second], num_nodes).astype(int)
        row_starts = np.cumsum(self.sizes * widths) - self.sizes * widths
        # Columns before a block in its row.
        before = np.cumsum(self.sizes[second]) - self.sizes[second]
        before -= (np.cumsum(widths) - widths)[first]
        pointers = np.cumsum(np.repeat(widths, self.sizes))
        # As SciPy wants them, so that it makes no copy.
        dtype = scipy.sparse.get_index_dtype(maxval=pointers[-1])
        self.pointers = np.concatenate([[0], pointers]).astype(dtype)
        offsets = np.cumsum(self.sizes) - self.sizes

        block = block.reshape(-1)
        i, j = first[block], second[block]
        counts = self.sizes[i] * self.sizes[j]
        self.places = np.empty(counts.sum(), dtype=np.int64)
        self.columns = np.empty(self.pointers[-1], dtype=np.int32)
        number, done = max(1, PART // max(1, counts.max(initial=1))), 0
        for start in range(0, len(counts), number):
            part = slice(start, start + number)
            some, row, column = _inside(counts[part], self.sizes[j[part]])
            place = row * widths[i[part]][some] + column
            place += (row_starts[i[part]] + before[block[part]])[some]
            self.places[done : done + len(place)] = place
            self.columns[place] = column + offsets[j[part]][some]
            done += len(place)


def _check_hermitian(name, matrix):
    error = matrix.hermitian_error()
    if error > HERMITIAN_TOLERANCE:
        raise ValueError(
            f"The {name} is not Hermitian: a block and the adjoint of its "
            f"partner differ by up to {error:.2e}. A pair (R, i, j) lacks its "
            "partner (-R, j, i), or the two differ; "
            "`BlockMatrix.symmetrized()` averages them."
        )


def _inside(counts, widths):
    """Of each number of blocks, one after another: which block, row, column.

    Args:
        counts: int array. Numbers of each block.
        widths: int array. Columns of each.
    """
    block = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(block)) - (np.cumsum(counts) - counts)[block]
    return block, *np.divmod(place, widths[block])


def _sum_at(places, values, size):
    """Adds up numbers that have the same place."""
    if np.iscomplexobj(values):
        total = np.empty(size, dtype=np.complex128)
        total.real = np.bincount(places, values.real, size)
        total.imag = np.bincount(places, values.imag, size)
        return total
    return np.bincount(places, values, size)


def _is_spinful(hamiltonian, num_orbitals):
    if not len(hamiltonian):
        raise ValueError("The Hamiltonian lists no atom pair.")
    return hamiltonian.shapes[0, 0] == (
        2 * num_orbitals[hamiltonian.atom_pairs[0, 3]]
    )


def _check_shapes(matrix, num_orbitals):
    expected = num_orbitals[matrix.atom_pairs[:, 3:]]
    if (expected != matrix.shapes).any():
        wrong = np.flatnonzero((expected != matrix.shapes).any(axis=1))[0]
        raise ValueError(
            f"The block of {tuple(matrix.atom_pairs[wrong].tolist())} has the "
            f"shape {tuple(matrix.shapes[wrong].tolist())}; the orbitals of "
            f"its atoms make it {tuple(expected[wrong].tolist())}."
        )
