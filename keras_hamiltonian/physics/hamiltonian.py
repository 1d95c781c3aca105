"""Hamiltonian and overlap of a crystal as sparse matrices, H(R) and H(k)."""

import numpy as np
import scipy.sparse

# A file rounds its numbers and a network computes in float32; a larger
# deviation means that pairs are missing or swapped.
HERMITIAN_TOLERANCE = 1e-3


class BlochMatrices:
    """Sparse H(R), S(R), H(k) and S(k) of one crystal.

    `H(k) = Σ_R H(R) exp(2πi k·R)` with fractional k. The orbitals of the cell
    stand atom by atom; with spin those of an atom are up, then down, and the
    spinless overlap is doubled. H and S may list different pairs: what is not
    listed is zero.

    Args:
        hamiltonian: `BlockMatrix` in eV.
        overlap: `BlockMatrix`, spinless. `None` for orthogonal orbitals.
        num_orbitals: `(num_atoms,)` ints. Orbitals of each atom, without spin.

    Attributes:
        spinful: bool. Whether the Hamiltonian carries spin.
        size: int. Rows of H(k), spin included.

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
    array([[3.+0.j]])
    """

    def __init__(self, hamiltonian, overlap, num_orbitals):
        num_orbitals = np.asarray(num_orbitals, dtype=np.int64)
        self.spinful = _is_spinful(hamiltonian, num_orbitals)
        factor = 2 if self.spinful else 1
        self.size = factor * int(num_orbitals.sum())
        self._hamiltonian = _BlochSum(
            "Hamiltonian", *_coordinates(hamiltonian, num_orbitals, factor, 1)
        )
        self._overlap = None
        if overlap is not None:
            self._overlap = _BlochSum(
                "overlap", *_coordinates(overlap, num_orbitals, 1, factor)
            )

    @classmethod
    def from_calculation(cls, calculation):
        """From a `Calculation` that holds a Hamiltonian.

        Raises:
            ValueError: if the calculation has no Hamiltonian or no overlap.
        """
        for field in ("hamiltonian", "overlap"):
            if getattr(calculation, field) is None:
                raise ValueError(
                    f"The calculation {calculation.name!r} has no `{field}`. "
                    "For orthogonal orbitals write "
                    "BlochMatrices(hamiltonian, None, num_orbitals)."
                )
        return cls(
            calculation.hamiltonian,
            calculation.overlap,
            calculation.num_orbitals,
        )

    @property
    def translations(self):
        """Lattice translations R of the Hamiltonian: `(num_R, 3)` ints."""
        return self._hamiltonian.translations

    @property
    def periodic(self):
        """`(3,)` bools: lattice directions along which orbitals connect."""
        return (self.translations != 0).any(axis=0)

    def hamiltonian_in_cell(self, translation):
        """H(R) as a CSR matrix `(size, size)`, in eV; zero if not listed."""
        return self._hamiltonian.in_cell(translation, self.size)

    def overlap_in_cell(self, translation):
        """S(R) as a CSR matrix `(size, size)`; zero if not listed."""
        if self._overlap is None:
            home = not np.any(translation)
            return scipy.sparse.identity(self.size, format="csr") * float(home)
        return self._overlap.in_cell(translation, self.size)

    def hamiltonian_at(self, k_point):
        """H(k) at a fractional wave vector: CSR `(size, size)`, in eV."""
        return self._hamiltonian.at(k_point, self.size)

    def overlap_at(self, k_point):
        """S(k) at a fractional wave vector: CSR `(size, size)`."""
        if self._overlap is None:
            return scipy.sparse.identity(
                self.size, dtype=np.complex128, format="csr"
            )
        return self._overlap.at(k_point, self.size)

    def dense_at(self, k_point):
        """H(k) in eV and S(k): two Hermitian `(size, size)` arrays."""
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


class _BlochSum:
    """One CSR pattern per crystal; every k fills it by one multiply and sum."""

    def __init__(self, name, translations, shift, rows, columns, entries):
        self.translations = translations
        order = np.lexsort((columns, rows))
        self.rows, self.columns = rows[order], columns[order]
        self.entries, self.shift = entries[order], shift[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(self.rows) != 0) | (np.diff(self.columns) != 0)
        self.starts = np.flatnonzero(new)
        self._check_hermitian(name)

    def at(self, k_point, size):
        k_point = np.asarray(k_point, dtype=np.float64)
        if k_point.shape != (3,):
            raise ValueError(
                "A wave vector has three fractional components. Received: "
                f"{k_point.tolist()}."
            )
        phases = np.exp(2j * np.pi * (self.translations @ k_point))
        values = np.zeros(0, dtype=np.complex128)
        if len(self.starts):
            values = np.add.reduceat(
                self.entries * phases[self.shift], self.starts
            )
        rows = self.rows[self.starts]
        pointers = np.searchsorted(rows, np.arange(size + 1))
        return scipy.sparse.csr_matrix(
            (values, self.columns[self.starts], pointers), shape=(size, size)
        )

    def in_cell(self, translation, size):
        match = (self.translations == np.asarray(translation)).all(axis=1)
        chosen = match[self.shift]
        return scipy.sparse.coo_matrix(
            (
                self.entries[chosen],
                (self.rows[chosen], self.columns[chosen]),
            ),
            shape=(size, size),
        ).tocsr()

    def _check_hermitian(self, name):
        """An arbitrary k tells every R apart, so one matrix is enough."""
        size = int(max(self.rows.max(), self.columns.max())) + 1
        matrix = self.at([0.1234, 0.2718, 0.3141], size)
        difference = matrix - matrix.conj().T
        error = float(np.abs(difference.data).max(initial=0.0))
        if error > HERMITIAN_TOLERANCE:
            raise ValueError(
                f"The {name} is not Hermitian: |M(k) - M(k)^†| reaches "
                f"{error:.2e}. A pair (R, i, j) lacks its partner (-R, j, i), "
                "or the two differ; `BlockMatrix.symmetrized()` averages them."
            )


def _is_spinful(hamiltonian, num_orbitals):
    if not len(hamiltonian):
        raise ValueError("The Hamiltonian lists no atom pair.")
    return hamiltonian.shapes[0, 0] == (
        2 * num_orbitals[hamiltonian.atom_pairs[0, 3]]
    )


def _coordinates(matrix, num_orbitals, factor, copies):
    """The translations, and where each stored number belongs.

    Args:
        matrix: `BlockMatrix` whose blocks have `factor · num_orbitals` rows.
        num_orbitals: `(num_atoms,)` ints.
        factor: int. 2 where the blocks carry spin.
        copies: int. 2 to put a spinless block on both spins.

    Returns:
        Translations `(num_R, 3)`, then for each number the position of its
        translation, its row, its column, and the number.
    """
    expected = factor * num_orbitals[matrix.atom_pairs[:, 3:]]
    if (expected != matrix.shapes).any():
        wrong = np.flatnonzero((expected != matrix.shapes).any(axis=1))[0]
        raise ValueError(
            f"The block of {tuple(matrix.atom_pairs[wrong].tolist())} has the "
            f"shape {tuple(matrix.shapes[wrong].tolist())}; the orbitals of "
            f"its atoms ask for {tuple(expected[wrong].tolist())}."
        )
    width = factor * copies * num_orbitals
    offsets = np.cumsum(width) - width
    counts = matrix.shapes.prod(axis=1)
    pair = np.repeat(np.arange(len(matrix)), counts)
    inside = np.arange(len(pair)) - matrix.boundaries[pair]
    row_in_block, column_in_block = np.divmod(inside, matrix.shapes[pair, 1])
    senders, receivers = matrix.atom_pairs[pair, 3], matrix.atom_pairs[pair, 4]
    rows = offsets[senders] + row_in_block
    columns = offsets[receivers] + column_in_block
    translations, shift = np.unique(
        matrix.atom_pairs[:, :3], axis=0, return_inverse=True
    )
    rows = [rows + s * num_orbitals[senders] for s in range(copies)]
    columns = [columns + s * num_orbitals[receivers] for s in range(copies)]
    return (
        translations,
        np.tile(shift.reshape(-1)[pair], copies),
        np.concatenate(rows),
        np.concatenate(columns),
        np.tile(matrix.entries, copies),
    )
