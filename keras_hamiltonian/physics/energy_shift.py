"""The zero of energy of a converged calculation, from its H⁰."""

import numpy as np

from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_layout import BlockLayout
from keras_hamiltonian.orbitals.gauge import gauge_shift
from keras_hamiltonian.orbitals.table_blocks import to_table

# Ridge: in units of the variance of the features of all structures.
SMOOTHING = 0.3


class EnergyShift:
    """The μ of a structure, for which `H⁰ + μS` is nearest to H.

    μ is nearly one constant in a set of similar crystals. What is left of it
    follows from how the atoms are squeezed, which the onsite blocks of H⁰
    show: μ is fitted as a linear function of their invariants, averaged over
    the atoms of each element. Of held-out structures the root mean square
    error of μ is, with the constant and with the function, in meV: graphene
    10.7 and 1.4, bilayer graphene 9.7 and 3.2, MoS2 2.2 and 1.1, bismuthene
    14.7 and 5.7, Bi2Se3 (three structures of training) 29 and 20.

    Args:
        mean: float. Mean μ of the fit, in eV.
        basis: dict. Shells of each element; none for a constant.
        invariants: dict from element to their means in the fit, eV.
        slopes: dict from element to the slopes of μ.

    Call arguments:
        atoms: `ase.Atoms`.
        initial: `BlockMatrix`, H⁰ in eV.

    Output: float, eV.

    Example:

    >>> EnergyShift(-1.5)(None, None)
    -1.5
    """

    def __init__(self, mean, basis=None, invariants=None, slopes=None):
        self.mean = float(mean)
        self.basis = dict(basis or {})
        self.invariants = dict(invariants or {})
        self.slopes = dict(slopes or {})

    @classmethod
    def fit(cls, calculations):
        """Fits μ to calculations.

        Args:
            calculations: iterable of `Calculation` with H, H⁰ and, those that
                count, S.

        Returns:
            `EnergyShift`; `None` without an overlap.
        """
        shifts, rows, basis = [], [], None
        for c in calculations:
            if c.overlap is None:
                continue
            basis = basis or c.basis
            matrices = c.hamiltonian, c.initial_hamiltonian, c.overlap
            shifts.append(gauge_shift(*matrices))
            rows.append(_invariants(c.atoms, c.initial_hamiltonian, basis))
        if not shifts:
            return None
        symbols = sorted({symbol for row in rows for symbol in row})
        means = {
            s: np.mean([row[s] for row in rows if s in row], axis=0)
            for s in symbols
        }
        # An element that a structure does not have says nothing.
        design = np.concatenate(
            [
                [row.get(s, means[s]) - means[s] for row in rows]
                for s in symbols
            ],
            axis=1,
        )
        deviations = np.array(shifts) - np.mean(shifts)
        gram = design.T @ design
        ridge = SMOOTHING * np.trace(gram) / (len(gram) * len(rows)) + 1e-12
        slopes = np.linalg.solve(
            gram + ridge * np.eye(len(gram)), design.T @ deviations
        )
        sizes = [len(means[s]) for s in symbols]
        pieces = np.split(slopes, np.cumsum(sizes)[:-1])
        return cls(
            np.mean(shifts),
            basis.to_dict(),
            {s: means[s].tolist() for s in symbols},
            {s: p.tolist() for s, p in zip(symbols, pieces)},
        )

    def __call__(self, atoms, initial):
        """The μ of a structure, see the class."""
        shift = self.mean
        if not self.slopes:
            return shift
        found = _invariants(atoms, initial, OrbitalBasis(self.basis))
        for symbol, values in found.items():
            if symbol in self.slopes:
                change = values - np.array(self.invariants[symbol])
                shift += float(change @ np.array(self.slopes[symbol]))
        return shift

    def to_dict(self):
        """JSON values of which `from_dict` makes the same."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, values):
        """The `EnergyShift` of `to_dict`."""
        return cls(**values)


def _invariants(atoms, initial, basis):
    """Means over the atoms of each element: dict from symbol to an array."""
    coupling = BlockLayout(basis).onsite["scalar"]
    onsite = np.flatnonzero(initial.is_onsite)
    spins = initial.shapes[onsite[0], 0] // basis.num_orbitals(
        atoms.numbers[initial.atom_pairs[onsite[0], 3]]
    )
    blocks = to_table(initial, atoms.numbers, basis, spins == 2, onsite)
    if spins == 2:
        blocks = (blocks[:, 0, 0, 0] + blocks[:, 0, 1, 1]) / 2
    number = coupling.irreps.count("0e")
    values = coupling.to_irreps(blocks)[:, :number]
    symbols = np.array(atoms.get_chemical_symbols())
    symbols = symbols[initial.atom_pairs[onsite, 3]]
    return {s: values[symbols == s].mean(axis=0) for s in np.unique(symbols)}
