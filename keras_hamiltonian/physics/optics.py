"""Optical conductivity of independent electrons, from H, S and dipoles."""

import dataclasses

import numpy as np
from scipy.special import expit

from keras_hamiltonian.physics.fermi import BOLTZMANN_IN_EV_PER_KELVIN
from keras_hamiltonian.physics.fermi import k_grid_points
from keras_hamiltonian.physics.hamiltonian import BlochSum
from keras_hamiltonian.physics.k_points import solve_k_points
from keras_hamiltonian.physics.number_files import read_fields
from keras_hamiltonian.physics.number_files import read_value
from keras_hamiltonian.physics.number_files import write_fields
from keras_hamiltonian.physics.states import lowest_states

# e²/ħ and the impedance of free space: CODATA 2018.
SIEMENS = 2.434134807664282e-4
OHM = 376.730313668
# A Gaussian ends after this many widths.
WIDTHS = 6.0
ANGSTROM_IN_METRE = 1e-10


class VelocityOperator:
    """Matrix elements of the velocity between Bloch states, times ħ.

    `ħ v_nm = C_n† (∂H - (ε_n + ε_m)/2 ∂S) C_m
    + i (ε_n - ε_m) C_n† (D + (τ S + S τ)/2) C_m`, with ∂ the derivative by k,
    τ the positions of the orbitals' atoms, and D the dipoles between orbitals
    about the middle of their atoms. This is i [H, r] with the position between
    non-orthogonal orbitals, so non-local pseudopotentials are in it. Where
    combinations of orbitals are left out (`overlap_threshold`), it is that
    operator between the states of the others; that these turn with k is not in
    it, 0.1 to 2.4 % of the slopes of bands near the gap at the thresholds of
    the trained models.

    Args:
        matrices: `BlochMatrices`.
        atoms: `ase.Atoms`.
        dipoles: three `BlockMatrix` in Å, see `ZerothStep.dipoles`. Without
            them every product of two orbitals sits in the middle of its atoms:
            transitions between orbitals of one atom are then dark.

    Raises:
        ValueError: if the atoms or the dipoles do not fit.

    Reference: Blount, Solid State Phys. 13, 305 (1962); for orbitals that
    overlap, Lee et al., Phys. Rev. B 98, 115115 (2018).
    """

    def __init__(self, matrices, atoms, dipoles=None):
        copies = 2 if matrices.spinful else 1
        if len(atoms) != len(matrices.num_orbitals):
            raise ValueError(
                f"The matrices are those of {len(matrices.num_orbitals)} "
                f"atoms. Received: {len(atoms)} atoms."
            )
        self.matrices = matrices
        self.cell = np.asarray(atoms.cell)
        self.positions = np.repeat(
            atoms.positions, matrices.num_orbitals, axis=0
        ).T
        self.dipoles = dipoles and [
            BlochSum("position", x, matrices.num_orbitals // copies, copies)
            for x in dipoles
        ]

    def at(self, states):
        """ħ v between all states of a wave vector.

        Args:
            states: `States` of `lowest_states`.

        Returns:
            `(3, n, n)` complex array, eV Å, Hermitian.
        """
        energies, vectors = states.energies, states.coefficients
        k_point, adjoint = states.k_point, vectors.conj().T
        mean = (energies[:, None] + energies) / 2
        difference = energies[:, None] - energies
        slopes = np.zeros((3, len(energies), len(energies)), dtype=complex)
        for axis in np.flatnonzero(self.matrices.periodic):
            slope = adjoint @ (
                self.matrices.hamiltonian_at(k_point, (axis,)) @ vectors
            ) - mean * (
                adjoint @ (self.matrices.overlap_at(k_point, (axis,)) @ vectors)
            )
            # k in 2π times fractions: k_i = a_i · k / 2π.
            slopes += self.cell[axis][:, None, None] / (2 * np.pi) * slope
        overlap = self.matrices.overlap_at(k_point)
        both = overlap @ vectors
        for axis, position in enumerate(self.positions):
            right = adjoint @ (position[:, None] * both)
            place = (right + right.conj().T) / 2
            if self.dipoles:
                place = place + adjoint @ (
                    self.dipoles[axis].at(k_point) @ vectors
                )
            slopes[axis] += 1j * difference * place
        return slopes


@dataclasses.dataclass
class OpticalConductivity:
    """Real part of the conductivity between bands.

    Attributes:
        energies: `(num_energies,)` array in eV. Of the photons, ascending.
        tensor: `(num_energies, 3, 3)` array, S/m, of the whole cell, vacuum
            included.
        height: float, Å. Of a cell with one direction of vacuum; else `None`.
    """

    energies: np.ndarray
    tensor: np.ndarray
    height: float | None = None

    @property
    def sheet(self):
        """Conductivity of a layer in S: `(num_energies, 3, 3)`.

        Raises:
            ValueError: if the crystal is no layer.
        """
        if self.height is None:
            raise ValueError(
                "Only a layer, periodic in two directions, has a conductivity "
                "as a sheet. Take `tensor`, S/m."
            )
        return self.tensor * self.height * ANGSTROM_IN_METRE

    @property
    def absorption(self):
        """Fraction of light at normal incidence that a thin layer absorbs.

        `(num_energies,)`, mean over both polarizations in the first two
        Cartesian directions; for a layer in that plane.
        """
        return OHM * (self.sheet[:, 0, 0] + self.sheet[:, 1, 1]) / 2

    def save(self, path):
        """Writes a file: JSON text, or `.npz` by its suffix."""
        fields = {
            "energies": self.energies,
            "tensor": self.tensor,
            "height": self.height,
            "units": "energies eV, tensor S/m, height angstrom",
        }
        write_fields(path, fields)

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote."""
        fields = read_fields(path)
        height = read_value(fields["height"])
        return cls(
            np.array(fields["energies"]),
            np.array(fields["tensor"]),
            None if height is None else float(height),
        )


def optical_conductivity(
    velocity,
    grid,
    energies,
    fermi_level,
    broadening=0.05,
    temperature=300.0,
    workers=1,
):
    """Kubo and Greenwood's conductivity of transitions between bands.

    `Re σ_ab(E) = π e²/(ħ V E) Σ (f_n - f_m) Re[ħv_a,nm ħv_b,mn] δ(E - E_mn)`,
    both spins together, the mean over wave vectors. Electrons at the Fermi
    level within one band (Drude) are not in it, nor are excitons and local
    fields.

    Args:
        velocity: `VelocityOperator`.
        grid: three ints. Sizes of a grid of wave vectors about Γ; 1 along
            vacuum.
        energies: `(num_energies,)` array in eV, positive. Of the photons.
        fermi_level: float in eV.
        broadening: float in eV. Standard deviation of the Gaussians for δ.
        temperature: float in kelvin, of the electrons.
        workers: int. Processes.

    Returns:
        `OpticalConductivity`.

    Raises:
        ValueError: if an energy or a width is not positive.

    Reference: Kubo, J. Phys. Soc. Jpn. 12, 570 (1957); Greenwood, Proc. Phys.
    Soc. 71, 585 (1958).
    """
    energies = np.asarray(energies, dtype=float)
    for name, value in (
        ("energies", energies.min(initial=np.inf)),
        ("broadening", broadening),
        ("temperature", temperature),
    ):
        if not value > 0:
            raise ValueError(f"`{name}` must be positive. Received: {value}.")
    matrices = velocity.matrices
    k_points, weights = k_grid_points(matrices, grid)
    found = solve_k_points(
        _conductivity_at,
        velocity,
        k_points,
        workers,
        energies=energies,
        fermi_level=fermi_level,
        broadening=broadening,
        temperature=temperature,
    )
    volume = abs(np.linalg.det(velocity.cell))
    spins = 1 if matrices.spinful else 2
    factor = np.pi * SIEMENS * spins / (volume * ANGSTROM_IN_METRE)
    periodic = matrices.periodic
    height = None
    if periodic.sum() == 2:
        area = np.linalg.norm(np.cross(*velocity.cell[periodic]))
        height = float(volume / area)
    mean = np.tensordot(weights, np.array(found), 1)
    return OpticalConductivity(energies, factor * mean, height)


def _conductivity_at(
    velocity, k_point, energies, fermi_level, broadening, temperature
):
    """Sum over transitions at one wave vector: `(num_energies, 3, 3)`, Å²."""
    states = lowest_states(velocity.matrices, k_point)
    thermal = BOLTZMANN_IN_EV_PER_KELVIN * temperature
    occupations = expit((fermi_level - states.energies) / thermal)
    lower, upper = np.triu_indices(len(states.energies), 1)
    change = occupations[lower] - occupations[upper]
    steps = states.energies[upper] - states.energies[lower]
    near = WIDTHS * broadening
    kept = (change > 1e-9) & (steps > 0) & (steps < energies.max() + near)
    lower, upper = lower[kept], upper[kept]
    change, steps = change[kept], steps[kept]
    elements = velocity.at(states)[:, lower, upper]
    products = np.einsum("an,bn->nab", elements, elements.conj()).real
    products *= (change / steps)[:, None, None]
    total = np.zeros((len(energies), 3, 3))
    for start in range(0, len(steps), 4096):
        part = slice(start, start + 4096)
        t = (energies[:, None] - steps[part]) / broadening
        deltas = np.exp(-0.5 * t * t) / (np.sqrt(2 * np.pi) * broadening)
        total += np.tensordot(deltas, products[part], 1)
    return total
