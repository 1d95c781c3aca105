"""Effective masses of electrons and holes."""

import dataclasses

import numpy as np

from keras_hamiltonian.physics.states import lowest_states

# hbar² / m_e in eV Å²: (1.054571817e-34)² / 9.1093837e-31 / 1.602176634e-19
# · 1e20, CODATA 2018.
HBAR_SQUARED_OVER_MASS = 7.619964231
# States this close in energy count as one level, in eV.
DEGENERACY_TOLERANCE = 1e-4
# How much the states of one level may differ in velocity (eV Å) and, relative
# to the largest, in curvature.
VELOCITY_TOLERANCE = 1e-3
CURVATURE_TOLERANCE = 1e-2


@dataclasses.dataclass
class EffectiveMass:
    """Curvature of a band as a mass, in units of the electron mass.

    Attributes:
        principal: `(d,)` array. Masses along the principal axes, ascending in
            1/m; negative where the band bends down.
        axes: `(d, 3)` array. The axes, Cartesian unit vectors as rows.
        curvature: `(3, 3)` array. `∂²E/∂k∂k` in eV Å².
        slope: `(3,)` array. `∂E/∂k` in eV Å; zero at an extremum.
        energy: float, in eV.

    d is the number of periodic directions: 2 for a layer.
    """

    principal: np.ndarray
    axes: np.ndarray
    curvature: np.ndarray
    slope: np.ndarray
    energy: float

    def __repr__(self):
        masses = ", ".join(f"{mass:.4g}" for mass in self.principal)
        return f"EffectiveMass({masses} at {self.energy:.4f} eV)"

    @property
    def tensor(self):
        """`(3, 3)` array: the mass tensor; zero out of the plane of a layer."""
        return np.einsum("n,na,nb->ab", self.principal, self.axes, self.axes)


def effective_mass(matrices, cell, k_point, band):
    """Effective mass of a band, exact to second order (k·p theory).

    The derivatives of H(k) and S(k) are exact sums over cells, so there is no
    step to choose. Löwdin's perturbation theory gives the curvature of a
    level, also of one that two spins share.

    Args:
        matrices: `BlochMatrices`, small enough for dense matrices.
        cell: `(3, 3)` array. Rows are the lattice vectors, in Å.
        k_point: three floats, fractional; usually an extremum, such as
            `BandGap.valence_k`.
        band: int. Counted from 0; the highest valence band is
            `num_occupied - 1`.

    Returns:
        `EffectiveMass`.

    Raises:
        ValueError: if other bands touch there with another slope or curvature,
            as at the Dirac point, nothing is periodic, or the matrices leave
            combinations of orbitals out.

    Example:

    A chain with E = -2 cos(k a) has the curvature 2 a²:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> from keras_hamiltonian.physics.hamiltonian import BlochMatrices
    >>> chain = BlockMatrix.from_blocks(
    ...     [(1, 0, 0, 0, 0), (-1, 0, 0, 0, 0)], [-np.eye(1), -np.eye(1)]
    ... )
    >>> matrices = BlochMatrices(chain, None, [1])
    >>> mass = effective_mass(matrices, 3.0 * np.eye(3), [0, 0, 0], band=0)
    >>> mass.principal.round(4)  # 7.62 / (2 · 3²)
    array([0.4233])
    """
    if not 0 <= band < matrices.size:
        raise ValueError(
            f"`band` is 0 to {matrices.size - 1}. Received: {band}."
        )
    if matrices.overlap_threshold:
        raise ValueError(
            "Perturbation theory needs all combinations of orbitals, and "
            f"those of norms below {matrices.overlap_threshold:g} are left "
            "out. Take matrices without `overlap_threshold`, or fit the mass "
            "to `solve_bands` nearby."
        )
    if not matrices.periodic.any():
        raise ValueError("Without a periodic direction there are no bands.")
    axes = _plane(np.asarray(cell), matrices.periodic)
    # k in 2π times fractions: k_i = a_i · k / 2π.
    directions = axes @ np.asarray(cell).T / (2 * np.pi)
    states = lowest_states(matrices, k_point)
    slopes, curvatures, energy = _derivatives(
        matrices, states, band, directions
    )
    curvature = _common(curvatures, "curvatures", energy, k_point)
    values, vectors = np.linalg.eigh(curvature)
    with np.errstate(divide="ignore"):
        principal = HBAR_SQUARED_OVER_MASS / values
    order = np.argsort(1 / principal)
    return EffectiveMass(
        principal[order],
        vectors.T[order] @ axes,
        axes.T @ curvature @ axes,
        slopes @ axes,
        energy,
    )


def _plane(cell, periodic):
    """Orthonormal vectors that span the periodic directions: `(d, 3)`."""
    rows = cell[periodic]
    if len(rows) == 3:
        return np.eye(3)
    return np.linalg.qr(rows.T)[0].T


def _derivatives(matrices, states, band, directions):
    """Slopes `(d,)`, curvatures `(d, d, n, n)` of a level, and its energy."""
    energies, vectors = states.energies, states.coefficients
    inside = np.abs(energies - energies[band]) < DEGENERACY_TOLERANCE
    energy = float(energies[inside].mean())
    level, rest = vectors[:, inside], vectors[:, ~inside]
    used = np.flatnonzero(matrices.periodic)

    def derivative(method, *components):
        return method(states.k_point, components)

    coupling, own, norms = [], [], []
    for i in used:
        overlap = derivative(matrices.overlap_at, i) @ level
        first = derivative(matrices.hamiltonian_at, i) @ level
        first = first - energy * overlap
        coupling.append(rest.conj().T @ first)
        own.append(level.conj().T @ first)
        norms.append(level.conj().T @ overlap)
    along = directions[:, used]
    coupling, own, norms = (
        np.tensordot(along, np.array(x), 1) for x in (coupling, own, norms)
    )
    slopes = np.einsum("inn->i", own).real / inside.sum()
    spread = own - slopes[:, None, None] * np.eye(inside.sum())
    if np.abs(spread).max() > VELOCITY_TOLERANCE:
        raise ValueError(
            f"{inside.sum()} bands touch at k = "
            f"{np.round(states.k_point, 4).tolist()} with different slopes "
            f"(up to {np.abs(spread).max():.3g} eV Å apart): a crossing, which "
            "has no effective mass."
        )
    second = np.array(
        [
            [
                level.conj().T
                @ (
                    derivative(matrices.hamiltonian_at, i, j) @ level
                    - energy * (derivative(matrices.overlap_at, i, j) @ level)
                )
                for j in used
            ]
            for i in used
        ]
    )
    second = np.einsum("ia,jb,abmn->ijmn", along, along, second)
    weights = 2 / (energy - energies[~inside])
    mixed = np.einsum("irm,r,jrn->ijmn", coupling.conj(), weights, coupling)
    second = second + (mixed + mixed.transpose(1, 0, 2, 3)) / 2
    change = slopes[:, None, None, None] * norms
    second = second - change - change.transpose(1, 0, 2, 3)
    return slopes, second, energy


def _common(curvatures, name, energy, k_point):
    """The part of `(d, d, n, n)` that all states of a level share."""
    number = curvatures.shape[-1]
    common = np.einsum("ijnn->ij", curvatures).real / number
    spread = curvatures - common[:, :, None, None] * np.eye(number)
    hermitian = (spread + spread.conj().transpose(0, 1, 3, 2)) / 2
    if np.abs(hermitian).max() > CURVATURE_TOLERANCE * np.abs(common).max():
        raise ValueError(
            f"{number} bands touch at {energy:.4f} eV, k = "
            f"{np.round(k_point, 4).tolist()}, with different {name}: their "
            "masses depend on the direction in which they are followed. Move "
            "away from the point of high symmetry, or add what lifts the "
            "degeneracy."
        )
    return common
