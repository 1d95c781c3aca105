"""One basis per element in a whole set: radial functions, not only shells."""

import numpy as np

from data_tools.check.finding import Finding
from data_tools.plausibility import onsite_overlaps

# Grids on which programs integrate leave 1e-5.
TOLERANCE = 1e-3


def radial_overlaps(calculation):
    """Element and overlap of the radial functions of each atom.

    Args:
        calculation: `Calculation`.

    Returns:
        List of pairs, see `onsite_overlaps`; empty without an overlap.
    """
    if calculation.overlap is None:
        return []
    overlaps = onsite_overlaps(calculation)
    symbols = calculation.atoms.symbols
    return [(s, x) for s, x in zip(symbols, overlaps) if x is not None]


def check_bases(structures):
    """Structures whose radial functions differ from those of the first.

    Args:
        structures: list of `(file, name, overlaps)`, see `radial_overlaps`.

    Returns:
        List of `Finding`, one for each structure and element.
    """
    first, findings = {}, []
    for file, name, overlaps in structures:
        differences = {}
        for symbol, own in overlaps:
            other, known = first.setdefault(symbol, (name, own))
            if known.shape == own.shape:  # else no reader lets both into a set
                difference = float(np.abs(own - known).max())
                if difference > differences.get(symbol, (TOLERANCE,))[0]:
                    differences[symbol] = difference, other
        for symbol, (difference, other) in differences.items():
            where = "another atom" if other == name else f"structure {other}"
            findings.append(
                Finding(
                    "bases",
                    "error",
                    f"The radial functions of {symbol} are not those of "
                    f"{where}: overlaps within the atom differ by up to "
                    f"{difference:.3f}.",
                    "One model needs one basis per element; separate the "
                    "structures of the two sources.",
                    structure=name,
                    file=str(file),
                )
            )
    return findings
