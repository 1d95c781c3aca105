"""Are energies eV, and does the Fermi level belong to this spectrum?"""

import numpy as np

from data_tools.check.finding import Finding
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.conventions import RYDBERG_IN_EV

# From the lowest to the highest eigenvalue a basis with two radial functions
# spans 90 to 230 eV; minimal bases span 25 and more.
SMALLEST_SPAN = {"minimal": 5.0, "larger": 20.0}
# Valence electrons of pseudopotentials are above -100 eV.
DEEPEST_VALENCE = 150.0


def check_energy_unit(sample):
    """Spread of the spectrum: hartree or rydberg taken for eV, or reverse."""
    energies = sample.energies
    if energies is None:
        return []
    span = float(np.ptp(energies))
    shells = sample.calculation.basis.shells.values()
    if all(len(degrees) == 1 for degrees in shells):
        return []  # no distance between shells, bands may be flat
    is_minimal = all(len(set(d)) == len(d) for d in shells)
    smallest = SMALLEST_SPAN["minimal" if is_minimal else "larger"]
    if span < smallest:
        return [
            Finding(
                "energy_unit",
                "error",
                f"All bands lie within {span:.1f} eV; this basis spans at "
                f"least {smallest:.0f} eV. H looks like hartree "
                f"({span * HARTREE_IN_EV:.0f} eV) or rydberg "
                f"({span * RYDBERG_IN_EV:.0f} eV).",
                "Energies are eV: multiply H by 27.2113845 (hartree) or "
                "13.6056923 (rydberg) on reading.",
            )
        ]
    depth, deepest = _depth(sample)
    if depth > deepest:
        return [
            Finding(
                "energy_unit",
                "error",
                f"The lowest band lies {depth:.0f} eV below the highest "
                f"occupied; at most {deepest:.0f} eV is plausible. H looks "
                "converted to eV twice.",
                "Leave out one conversion.",
            )
        ]
    return []


def check_fermi_level(sample):
    """Fermi level inside the spectrum, with as many states as electrons.

    Finds nothing where the spectrum itself is in a wrong unit.
    """
    calculation = sample.calculation
    fermi_level = calculation.fermi_level
    energies = sample.energies
    if energies is None or fermi_level is None or check_energy_unit(sample):
        return []
    low, high = float(energies.min()), float(energies.max())
    if not low < fermi_level < high:
        return [_outside(fermi_level, low, high)]
    if calculation.num_electrons is None:
        return []
    degeneracy = 1 if calculation.is_spinful else 2
    counts = degeneracy * (energies < fermi_level).sum(axis=1)
    electrons = calculation.num_electrons
    # A metal's count differs from k to k; a few k give no exact mean.
    slack = max(2.0, 0.1 * electrons, float(np.ptp(counts)))
    if abs(counts.mean() - electrons) <= slack:
        return []
    return [
        Finding(
            "fermi_level",
            "error",
            f"Below the Fermi level of {fermi_level:.3f} eV lie states for "
            f"{counts.mean():.1f} electrons; the structure has "
            f"{electrons:.1f}.",
            "The level is of another run or unit, or the number of electrons "
            "is wrong (valence electrons of the pseudopotentials, per cell).",
        )
    ]


def _outside(fermi_level, low, high):
    units = {
        "hartree": fermi_level * HARTREE_IN_EV,
        "rydberg": fermi_level * RYDBERG_IN_EV,
        "converted to eV twice": fermi_level / HARTREE_IN_EV,
    }
    fitting = [name for name, e in units.items() if low < e < high]
    guess = f" It would be inside as: {', '.join(fitting)}." if fitting else ""
    return Finding(
        "fermi_level",
        "error",
        f"The Fermi level of {fermi_level:.3f} eV lies outside the spectrum, "
        f"{low:.2f} to {high:.2f} eV.{guess}",
        "Give the level in eV on the energy zero of H.",
    )


def _depth(sample):
    """Lowest band below the highest occupied one, and what is plausible."""
    calculation = sample.calculation
    energies = np.sort(sample.energies[0])
    electrons = calculation.num_electrons
    numbers = calculation.atoms.numbers
    # Binding energy of a hydrogen-like 1s electron, 13.6 eV Z².
    bound = RYDBERG_IN_EV * float(numbers.max()) ** 2
    if electrons is None:
        top = calculation.fermi_level
        top = energies[len(energies) // 2] if top is None else top
    else:
        occupied = int(round(electrons / (1 if calculation.is_spinful else 2)))
        top = energies[min(max(occupied, 1), len(energies)) - 1]
        if electrons < 0.99 * numbers.sum():
            bound = DEEPEST_VALENCE
    return float(top - energies[0]), max(bound, 2 * RYDBERG_IN_EV)
