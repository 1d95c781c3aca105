"""Does H⁰ belong to H: same pairs, spin, zero of energy, same crystal?"""

import numpy as np

from data_tools.check.finding import Finding
from data_tools.check.spin import TIME_REVERSAL_TOLERANCE
from data_tools.check.spin import quadrants
from data_tools.check.spin import time_reversal_error
from keras_hamiltonian.data.correction import measure_correction

# Mean |H - H⁰ - μS| over mean |H|: 0.01 to 0.04 in C, MoS2, Bi and Bi2Se3;
# 0.1 to 1 with H⁰ of another structure, unit or orbital order. The second is
# for data without S, where μS (0.1 in graphene) is still in it.
LARGEST_CORRECTION = {True: 0.08, False: 0.3}
SMALLEST_CORRECTION = 1e-4
# eV. Spin-orbit coupling does not depend on the density: without magnetism H
# and H⁰ agree there to 2e-7; rounding to steps of 1e-5 is allowed.
SPIN_ORBIT_TOLERANCE = 1e-5
# eV. μ varies by 0.02 in a set of one material and cell.
LARGEST_SPREAD = 0.3


def check_initial(sample):
    """Pairs of H and H⁰, and a correction that is small beside H."""
    calculation = sample.calculation
    correction = measure_correction(calculation)
    if correction is None:
        return []
    findings = _check_pairs(calculation)
    mean = float(np.abs(calculation.hamiltonian.entries).mean())
    largest = LARGEST_CORRECTION[correction.shift is not None] * mean
    if correction.mean > largest:
        findings.append(
            Finding(
                "initial",
                "warning",
                f"The mean of |H - H⁰ - μS| is {1e3 * correction.mean:.0f} "
                f"meV, that of |H| {1e3 * mean:.0f} meV; at most "
                f"{1e3 * largest:.0f} meV is plausible.",
                "H⁰ of another structure, unit, orbital order or basis makes "
                "it large: convert H⁰ again from the same run.",
            )
        )
    elif correction.mean < SMALLEST_CORRECTION * mean:
        findings.append(
            Finding(
                "initial",
                "warning",
                f"The mean of |H - H⁰ - μS| is {1e6 * correction.mean:.2g} "
                f"µeV only, that of |H| {1e3 * mean:.0f} meV.",
                "Both runs seem to be converged: H⁰ is the Hamiltonian of the "
                "first step, from superposed atoms.",
            )
        )
    return findings


def check_initial_spin_orbit(sample):
    """ud and imaginary parts, which H has from H⁰ without magnetism."""
    calculation = sample.calculation
    hamiltonian = calculation.hamiltonian
    initial = calculation.initial_hamiltonian
    if calculation.spin != "noncollinear" or None in (hamiltonian, initial):
        return []
    error = max(
        (
            _spin_orbit_part(block - initial.find(pair))
            for pair, block in zip(hamiltonian.index, hamiltonian.blocks())
            if pair in initial.index
        ),
        default=0.0,
    )
    if error <= SPIN_ORBIT_TOLERANCE:
        return []
    message = (
        "H and H⁰ differ by up to "
        f"{1e3 * error:.2g} meV in the parts of spin-orbit coupling (ud, and "
        "the imaginary numbers of uu)."
    )
    if time_reversal_error(hamiltonian) >= TIME_REVERSAL_TOLERANCE:
        return [
            Finding(
                "initial_spin_orbit",
                "note",
                f"{message} The structure is magnetic.",
                "Right for a magnetic crystal; a correction model has to learn "
                "all parts of H - H⁰, not the spin-free one alone.",
            )
        ]
    return [
        Finding(
            "initial_spin_orbit",
            "warning",
            message,
            "Without magnetism they must agree: look for other "
            "pseudopotentials, coupling switched off in one run, or another "
            "spin layout.",
        )
    ]


def check_initial_of_sets(structures):
    """H⁰ missing in some structures of a set, and zeros of energy apart.

    Args:
        structures: list of dict. Reports of the structures, with `file`,
            `name`, `set`, `is_readable`, `has_initial` and `correction`.

    Returns:
        List of `Finding`, each with its place.
    """
    sets = {}
    for structure in structures:
        if structure["is_readable"]:
            sets.setdefault(structure["set"], []).append(structure)
    return [f for members in sets.values() for f in _check_set(members)]


def _check_set(members):
    findings = []
    num_initial = sum(member["has_initial"] for member in members)
    shifts = [(member["correction"] or {}).get("shift") for member in members]
    middle = np.median([shift for shift in shifts if shift is not None] or [0])
    for member, shift in zip(members, shifts):
        finding = None
        if num_initial and not member["has_initial"]:
            finding = Finding(
                "initial_missing",
                "warning",
                f"No H⁰, but {num_initial} of {len(members)} structures of "
                "the set have one.",
                "Models that use H⁰ need it in every structure: add the run, "
                "or leave the structure out.",
            )
        elif shift is not None and abs(shift - middle) > LARGEST_SPREAD:
            finding = Finding(
                "initial_zero",
                "warning",
                f"The zeros of energy of H and H⁰ are μ = {shift:.2f} eV "
                f"apart, {middle:.2f} eV in the middle of the set.",
                "Cells with another vacuum, charge or setting have another "
                "zero; keep them in a set of their own if absolute energies "
                "matter.",
            )
        if finding is not None:
            findings.append(finding.located(member["file"], member["name"]))
    return findings


def _check_pairs(calculation):
    hamiltonian = calculation.hamiltonian
    initial = calculation.initial_hamiltonian
    counts = [
        sum(pair not in other.index for pair in matrix.index)
        for matrix, other in ((hamiltonian, initial), (initial, hamiltonian))
    ]
    if not any(counts):
        return []
    return [
        Finding(
            "initial_pairs",
            "warning",
            f"{counts[0]} pairs are in H but not in H⁰, {counts[1]} in H⁰ but "
            "not in H.",
            "Both runs need the same basis and thresholds: a model adds its "
            "correction to the pairs of H⁰. `data_tools.initial.with_initial` "
            "joins two runs and refuses pairs that matter.",
        )
    ]


def _spin_orbit_part(block):
    uu, ud, _, _ = (block[part] for part in quadrants(block))
    return max(float(np.abs(uu.imag).max()), float(np.abs(ud).max()))
