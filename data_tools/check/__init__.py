"""The data doctor: finds what is wrong with Hamiltonian data.

    python -m data_tools.check PATH... [--json FILE] [--split FILE]

Every check is a function that takes a `Sample` and returns findings; add one
by writing it and listing it in `CHECKS`.
"""

from data_tools.check.energies import check_energy_unit
from data_tools.check.energies import check_fermi_level
from data_tools.check.finding import Finding
from data_tools.check.geometry import check_bond_lengths
from data_tools.check.geometry import check_geometry
from data_tools.check.initial import check_initial
from data_tools.check.initial import check_initial_spin_orbit
from data_tools.check.matrices import check_baseline
from data_tools.check.matrices import check_finite
from data_tools.check.matrices import check_hermitian
from data_tools.check.matrices import check_overlap
from data_tools.check.matrices import check_pairs
from data_tools.check.orbitals import check_orbital_order
from data_tools.check.sample import Sample
from data_tools.check.spin import check_spin_layout
from data_tools.check.spin import check_spin_orbit
from data_tools.check.spin import check_time_reversal

__all__ = ["CHECKS", "Finding", "Sample", "examine"]

CHECKS = (
    check_bond_lengths,
    check_geometry,
    check_hermitian,
    check_pairs,
    check_overlap,
    check_orbital_order,
    check_spin_layout,
    check_time_reversal,
    check_spin_orbit,
    check_baseline,
    check_initial,
    check_initial_spin_orbit,
    check_energy_unit,
    check_fermi_level,
)


def examine(calculation, file=""):
    """Finds what is wrong with one calculation.

    Args:
        calculation: `Calculation`.
        file: str or path. Where it comes from, for the findings.

    Returns:
        List of `Finding`, empty if nothing is wrong. The checks that need an
        overlap (geometry, orbital order, energies) find nothing without it.
    """
    sample = Sample(calculation)
    findings = check_finite(sample)
    if not findings:
        findings = [f for check in CHECKS for f in check(sample)]
    return [f.located(file, calculation.name) for f in findings]
