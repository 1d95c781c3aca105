"""Sums over the projectors of a third atom: Σ_k <i|p_k> e <p_k|j>."""

import numpy as np

from keras_hamiltonian.irreps.clebsch_gordan import real_from_complex
from keras_hamiltonian.superposition.images import AtomImages
from keras_hamiltonian.superposition.workers import Buffers

# Rows of a panel of `fill_staircase`.
PANEL = 128
# Hartree. What one projector adds to a matrix element, if it is smaller, is
# left out; dozens of them meet.
NEGLIGIBLE = 1e-13


class ProjectorPart:
    """A separable potential: non-local pseudopotentials, for example.

    Args:
        pairs: `CrystalPairs`.
        couplings: list of `ProjectorCouplings`, by kind.
        tables: dict from a pair of kinds to the `TwoCentreTable` between the
            orbitals of the first and the projectors of the second.
    """

    def __init__(self, pairs, couplings, tables):
        self.pairs, self.couplings, self.tables = pairs, couplings, tables
        self.reach = np.array([c.reach for c in couplings])
        self.longest = pairs.reach.max() + self.reach.max()
        # The images whose orbitals meet projectors of atoms in the cell.
        fractional = pairs.positions @ np.linalg.inv(pairs.cell)
        self.images = AtomImages(
            pairs, fractional.min(axis=0), fractional.max(axis=0), self.longest
        )
        self.buffers = Buffers()

    def entries(self, workers):
        """All blocks as flat entries of the pairs, in hartree.

        Args:
            workers: `Workers` that share the work.

        Returns:
            `(1, num_entries)` array, the part without spin; or
            `(4, num_entries)`, then three parts A of which `i σ·A` is the
            spin-orbit part.
        """
        pairs = self.pairs
        has_spin = any(c.spin_orbit is not None for c in self.couplings)
        entries = np.zeros((4 if has_spin else 1, pairs.num_entries))
        has_projectors = np.array(
            [len(c.functions) > 0 for c in self.couplings]
        )
        atoms = np.flatnonzero(has_projectors[pairs.kinds])
        for found in workers.map(self._products, atoms, ahead=workers.count):
            if found is not None:
                pairs.add(entries[: len(found[0])], *found)
                self.buffers.give(found[0])
        return pairs.mirror(entries)

    def _products(self, k):
        """Products of the projectors of one atom, and the images near it."""
        pairs = self.pairs
        kind = pairs.kinds[k]
        couplings, position = self.couplings[kind], pairs.positions[k]
        images = self.images
        near = images.around(position, self.longest)
        vectors = position - images.centres[near]
        lengths = np.linalg.norm(vectors, axis=1)
        meets = lengths < images.reach[near] + couplings.reach
        near, vectors = near[meets], vectors[meets]
        atoms = images.atoms[near]
        blocks, norms = [None] * len(near), np.empty(len(near))
        for other in np.unique(pairs.kinds[atoms]):
            same = np.flatnonzero(pairs.kinds[atoms] == other)
            found = self.tables[other, kind].blocks(vectors[same])
            norms[same] = np.linalg.norm(found, axis=2).max(axis=1)
            for n, block in zip(same, found):
                blocks[n] = block
        # The largest first: what counts of their products is a staircase.
        norms *= couplings.largest**0.5
        order = np.argsort(-norms, kind="stable")
        norms = norms[order]
        norms = norms[norms * norms.max(initial=0.0) > NEGLIGIBLE]
        if not len(norms):
            return None
        order = order[: len(norms)]
        ends = np.searchsorted(-norms, -NEGLIGIBLE / norms)
        between = np.concatenate([blocks[n] for n in order])
        left = [between * couplings.strengths]
        if couplings.spin_orbit is not None:
            left += [between @ a for a in couplings.spin_orbit]
        products = self.buffers.take(len(left), len(between), len(between))
        sizes = pairs.sizes[atoms[order]]
        row_ends = np.repeat(np.cumsum(sizes)[ends - 1], sizes)
        for product, rows in zip(products, left):
            fill_staircase(product, rows, between, row_ends)
        return products, atoms[order], images.shifts[near[order]], ends


def fill_staircase(product, left, right, ends):
    """`left @ right.T` from the diagonal up to a column, row by row.

    Panels of rows leave out most of what is not asked for.

    Args:
        product: `(n, n)` array, which is overwritten; elsewhere it may have
            any numbers.
        left, right: `(n, k)` arrays.
        ends: `(n,)` int array, descending. How many columns of each row are
            wanted.
    """
    for start in range(0, len(left), PANEL):
        rows, end = slice(start, start + PANEL), ends[start]
        if end > start:
            np.matmul(
                left[rows], right[start:end].T, out=product[rows, start:end]
            )


class ProjectorCouplings:
    """The energies of an element's projectors, as matrices.

    With j = l ± 1/2 the operator is
    `e₊ |p₊> [(l + 1) + L·σ]/(2l + 1) <p₊| + e₋ |p₋> [l - L·σ]/(2l + 1) <p₋|`.

    Args:
        projectors: tuple of `Projector`.
        reach: float, bohr. Of the orbitals: what projectors have beyond is
            left out.
        has_spin: bool. Whether the part with L·σ is kept.

    Attributes:
        functions: list of `RadialFunction`.
        strengths: `(num_components,)` array, hartree, over functions and m.
        spin_orbit: `(3, n, n)` antisymmetric array A with `i A` the factors
            of σx, σy, σz; `None` without.
        reach: float, bohr. Where the last function ends.
    """

    def __init__(self, projectors, reach, has_spin):
        self.functions, strengths, splittings = [], [], []
        for projector in projectors:
            l = projector.degree
            parts = list(zip(projector.functions, projector.energies))
            shares, signs = [1.0], [0.0]
            if len(parts) == 2:
                shares = [(l + 1) / (2 * l + 1), l / (2 * l + 1)]
                signs = [1 / (2 * l + 1), -1 / (2 * l + 1)]
            for (function, energy), share, sign in zip(parts, shares, signs):
                if share:
                    self.functions.append(function)
                    strengths += [share * energy] * (2 * l + 1)
                    splittings.append(sign * energy)
        self.strengths = np.array(strengths)
        ends = [function.end for function in self.functions]
        self.reach = min(reach, max(ends, default=0.0))
        self.spin_orbit = None
        if has_spin and any(splittings):
            self.spin_orbit = np.zeros((3, len(strengths), len(strengths)))
            start = 0
            for function, splitting in zip(self.functions, splittings):
                here = slice(start, start + 2 * function.degree + 1)
                self.spin_orbit[:, here, here] = (
                    splitting * angular_momentum(function.degree).imag
                )
                start = here.stop
        self.largest = np.abs(self.strengths).max(initial=0.0)
        if self.spin_orbit is not None:
            norms = np.linalg.norm(self.spin_orbit, 2, axis=(1, 2))
            self.largest = max(self.largest, norms.max())


def angular_momentum(l):
    """Lx, Ly, Lz between real harmonics m = -l..l, in units of ħ.

    Returns:
        `(3, 2l + 1, 2l + 1)` complex array, purely imaginary.
    """
    m = np.arange(-l, l + 1)
    raising = np.diag(np.sqrt(l * (l + 1) - m[:-1] * (m[:-1] + 1.0)), -1)
    # Rows are real, columns complex harmonics.
    real = real_from_complex(l)
    parts = (
        0.5 * (raising + raising.T),
        -0.5j * (raising - raising.T),
        np.diag(m),
    )
    return np.array([real.conj() @ part @ real.T for part in parts])
