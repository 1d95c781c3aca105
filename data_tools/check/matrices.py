"""Are the matrices complete, Hermitian, positive and what they claim to be?"""

import numpy as np

from data_tools.check.finding import Finding
from data_tools.check.sample import K_POINTS
from keras_hamiltonian.data.store import pair_union

# eV, for S without unit. SCF codes write 1e-9 to 1e-7.
HERMITIAN_TOLERANCE = 1e-5
# Below it rounding errors of 1e-7 grow to 10 meV.
SMALLEST_OVERLAP = 1e-5


def check_finite(sample):
    """NaN or infinity anywhere."""
    findings = []
    for name, matrix in sample.matrices.items():
        number, pair = matrix.not_finite()
        if number:
            findings.append(
                Finding(
                    "finite",
                    "error",
                    f"{number} numbers of {name} are NaN or infinite, "
                    f"the first in the block (R1, R2, R3, i, j) = {pair}.",
                    "Leave the structure out, or convert it again.",
                )
            )
    return findings


def check_hermitian(sample):
    """`M_ij(R) = M_ji(-R)^†`, and every pair beside its partner."""
    findings = []
    for name, matrix in sample.matrices.items():
        partners = matrix.reverse_positions()
        missing = int((partners < 0).sum())
        if missing:
            findings.append(
                Finding(
                    "hermitian",
                    "error",
                    f"{missing} of {len(matrix)} pairs of {name} lack the "
                    "partner (-R, j, i).",
                    "If the file holds half of the matrix, restore the other "
                    "half as the conjugate transpose; else convert it again.",
                )
            )
        listed = matrix.select(partners >= 0)
        error = listed.hermitian_error()
        if error > HERMITIAN_TOLERANCE:
            findings.append(
                Finding(
                    "hermitian",
                    "error",
                    f"{name} is not Hermitian: partners differ by up to "
                    f"{error:.1e}{'' if name == 'S' else ' eV'}.",
                    "Look for blocks written transposed, reversed lattice "
                    "shifts, or a calculation that did not converge.",
                )
            )
    return findings


def check_pairs(sample):
    """Pairs that only H or only S has."""
    hamiltonian = sample.calculation.hamiltonian
    overlap = sample.calculation.overlap
    if hamiltonian is None or overlap is None:
        return []
    pairs, in_hamiltonian, in_overlap = pair_union(hamiltonian, overlap)
    lengths = np.linalg.norm(sample.calculation.edge_vectors(pairs), axis=1)
    findings = []
    for only, name, other in (
        (in_hamiltonian & ~in_overlap, "H", "S"),
        (in_overlap & ~in_hamiltonian, "S", "H"),
    ):
        if only.any():
            findings.append(
                Finding(
                    "pairs",
                    "warning",
                    f"{int(only.sum())} of {len(pairs)} pairs are in {name} "
                    f"but not in {other} (shortest {lengths[only].min():.2f} "
                    f"Å, longest {lengths[only].max():.2f} Å).",
                    f"If the code drops zero blocks, {other} is zero there; "
                    "`pair_union` gives all pairs with two masks. Programs "
                    "that ask for equal keys need zero blocks added. Short "
                    "pairs missing mean a damaged file.",
                )
            )
    return findings


def check_overlap(sample):
    """On-site overlap of 1, and S(k) positive at a few k."""
    overlap = sample.calculation.overlap
    if overlap is None:
        return []
    findings = _check_norms(overlap)
    eigenvalues = sample.overlap_eigenvalues
    if eigenvalues is None:
        return findings
    smallest = float(eigenvalues.min())
    k_point = K_POINTS[int(eigenvalues.min(axis=1).argmin())]
    where = "k = (" + ", ".join(f"{x:.2f}" for x in k_point) + ")"
    if smallest <= 0:
        findings.append(
            Finding(
                "overlap",
                "error",
                f"S(k) is not positive: smallest eigenvalue {smallest:.1e} at "
                f"{where}.",
                "Pairs are missing, blocks are transposed or signs are wrong; "
                "no bands can be computed. Convert S again.",
            )
        )
    elif smallest < SMALLEST_OVERLAP:
        findings.append(
            Finding(
                "overlap",
                "warning",
                f"The basis is nearly dependent: smallest eigenvalue of S(k) "
                f"{smallest:.1e} at {where}.",
                "Errors of H grow by its inverse in the upper bands: restrict "
                "the bands to a window, or drop a shell.",
            )
        )
    return findings


def check_baseline(sample):
    """H equal to H⁰, or to S, by a mistake of file names."""
    calculation = sample.calculation
    hamiltonian = calculation.hamiltonian
    if hamiltonian is None:
        return []
    for other, name, remedy in (
        (
            calculation.initial_hamiltonian,
            "H⁰",
            "One file was written twice, or the run stopped after its first "
            "step. H⁰ is the Hamiltonian of the superposed atoms, H the "
            "converged one.",
        ),
        (
            calculation.overlap,
            "S",
            "The overlap file was copied over the Hamiltonian's.",
        ),
    ):
        if other is not None and _are_equal(hamiltonian, other):
            return [
                Finding("baseline", "error", f"H is equal to {name}.", remedy)
            ]
    return []


def _check_norms(overlap):
    diagonals = [
        np.diag(overlap.block(k)) for k in np.flatnonzero(overlap.is_onsite)
    ]
    if not diagonals:
        return [
            Finding(
                "overlap",
                "error",
                "S has no on-site blocks.",
                "Read all pairs (0, 0, 0, i, i).",
            )
        ]
    deviation = float(np.abs(np.concatenate(diagonals) - 1).max())
    # OpenMX integrates on a grid: 1.015 for a shell of Mo.
    if deviation < 0.1:
        return []
    return [
        Finding(
            "overlap",
            "warning",
            "On-site overlaps are not 1: they deviate by up to "
            f"{deviation:.2g}.",
            "Orbitals of most codes are normalised; a factor here means "
            "another unit, order or file.",
        )
    ]


def _are_equal(first, second):
    if first.entries.shape != second.entries.shape:
        return False
    positions = [second.index.get(pair, -1) for pair in first.index]
    if min(positions, default=-1) < 0:
        return False
    other = second.select(positions).entries
    scale = float(np.abs(first.entries).max(initial=0.0))
    return bool(np.abs(first.entries - other).max() <= 1e-9 * scale)
