"""Do lattice, positions and matrices describe one crystal?"""

import ase
import numpy as np
import vesin
from ase.data import covalent_radii

from data_tools.check.finding import Finding
from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM

# Nearest neighbours in units of the sum of the covalent radii: 0.93 in
# graphene, 1.03 in bismuth, 1.4 in a stretched molecule; bohr taken for Å make
# 1.75 and more. Noble gases have no bonds.
PLAUSIBLE_BOND = (0.7, 1.6)
NOBLE_GASES = (2, 10, 18, 36, 54, 86)
# The overlap of two elements is a smooth function of their distance: sorted by
# distance its norm only falls, and its total variation is 1 in units of its
# range. Real bases come within 0.01; a transposed lattice gives 2 to 100.
LARGEST_VARIATION = 1.25
SHORTEST_DISTANCE = 0.3  # Å


def check_bond_lengths(sample):
    """Bond lengths against covalent radii: bohr taken for Å, atoms too near.

    Finds nothing where `check_geometry` does, which explains more.
    """
    if check_geometry(sample):
        return []
    ratios = _bond_ratios(sample.calculation.atoms)
    if not ratios.size:
        return []
    typical = float(np.median(ratios))
    low, high = PLAUSIBLE_BOND
    for factor, wrong, right in (
        (BOHR_IN_ANGSTROM, "bohr", "multiply by 0.529177 on reading"),
        (
            1 / BOHR_IN_ANGSTROM,
            "converted from bohr twice",
            "leave out one conversion",
        ),
    ):
        if not low <= typical <= high and low <= typical * factor <= high:
            return [
                Finding(
                    "bond_lengths",
                    "error",
                    f"Typical bonds are {typical:.2f} times the sum of the "
                    "covalent radii; lattice and positions look like "
                    f"{wrong} where Å is expected.",
                    f"Lengths are Å: {right}.",
                )
            ]
    if ratios.min() < 0.5:
        atom = int(ratios.argmin())
        return [
            Finding(
                "bond_lengths",
                "error",
                f"Atom {atom} (from 0) has a neighbour at {ratios.min():.2f} "
                "times the sum of the covalent radii.",
                "Look for atoms listed twice, or for a wrong lattice vector.",
            )
        ]
    return []


def check_geometry(sample):
    """Is the overlap one function of distance, as two-centre integrals are?

    If not, other readings of the same numbers are tried, and the one that fits
    is named: lattice or positions transposed, pairs reversed, one
    of the two in bohr.
    """
    if sample.calculation.overlap is None:
        return []
    readings = _readings(sample.calculation)
    now = _variation(sample, *readings.pop("as it is"))
    if now <= LARGEST_VARIATION:
        return []
    fitting = [
        name
        for name, reading in readings.items()
        if _variation(sample, *reading) - 1 < 0.05 * (now - 1)
    ]
    message = (
        "Overlap blocks of equal elements and equal distance differ: lattice, "
        "positions and pairs do not belong together (total variation "
        f"{now:.1f}, expected 1.0)."
    )
    if not fitting:
        return [
            Finding(
                "geometry",
                "error",
                message,
                "Compare lattice, positions and pairs with the DFT input; no "
                "transposition, reversal or single conversion explains it. "
                "Positions moved back into the cell after the calculation "
                "no longer fit the lattice shifts of the pairs.",
            )
        ]
    # Scaled lattice and scaled positions fit equally well; bond lengths decide.
    best = max(fitting, key=lambda name: _is_plausible(sample, readings[name]))
    return [
        Finding(
            "geometry",
            "error",
            f"{message} Everything fits with {best}.",
            f"Read again with {best}. Vectors are rows here; the legacy DeepH "
            "files hold them as columns. A pair (R, i, j) points from atom i "
            "in the home cell to atom j in cell R.",
        )
    ]


def _readings(calculation):
    """Other readings of positions, lattice and sense of the pairs."""
    atoms = calculation.atoms
    positions, cell = atoms.positions, np.asarray(atoms.cell)
    bohr = BOHR_IN_ANGSTROM
    readings = {
        "as it is": (positions, cell, 1),
        "the lattice transposed": (positions, cell.T, 1),
        "the positions transposed": (_transposed(positions), cell, 1),
        "lattice and positions transposed": (
            _transposed(positions),
            cell.T,
            1,
        ),
        "the lattice shifts R reversed": (positions, cell, -1),
        "the lattice converted from bohr": (positions, cell * bohr, 1),
        "the lattice not converted from bohr": (positions, cell / bohr, 1),
        "the positions converted from bohr": (positions * bohr, cell, 1),
        "the positions not converted from bohr": (positions / bohr, cell, 1),
        "the positions taken as fractional": (positions @ cell, cell, 1),
    }
    if abs(np.linalg.det(cell)) > 1e-6:
        wrapped = atoms.copy()
        wrapped.wrap()
        readings["the positions moved into the cell"] = (
            wrapped.positions,
            cell,
            1,
        )
    return readings


def _variation(sample, positions, cell, sense):
    """Largest total variation of the overlap over the pairs of elements."""
    overlap = sample.calculation.overlap
    pairs = overlap.atom_pairs
    vectors = (
        positions[pairs[:, 4]]
        + sense * pairs[:, :3] @ cell
        - positions[pairs[:, 3]]
    )
    lengths = np.linalg.norm(vectors, axis=1)
    elements = np.sort(sample.calculation.atoms.numbers[pairs[:, 3:]], axis=1)
    offsite = ~overlap.is_onsite
    if offsite.any() and lengths[offsite].min() < SHORTEST_DISTANCE:
        return np.inf
    worst = 1.0
    for kind in np.unique(elements, axis=0):
        chosen = offsite & (elements == kind).all(axis=1)
        norms = sample.block_norms[chosen]
        # Equal distances differ in the last digit; their order does not matter.
        order = np.lexsort((norms, np.round(lengths[chosen], 4)))
        norms = norms[order]
        if len(norms) > 2 and np.ptp(norms) > 1e-6:
            worst = max(worst, np.abs(np.diff(norms)).sum() / np.ptp(norms))
    return float(worst)


def _is_plausible(sample, reading):
    positions, cell, _ = reading
    atoms = sample.calculation.atoms.copy()
    atoms.set_cell(cell)
    atoms.positions[:] = positions
    ratios = _bond_ratios(atoms)
    low, high = PLAUSIBLE_BOND
    return bool(ratios.size and low <= np.median(ratios) <= high)


def _transposed(positions):
    """Positions if 3 rows of N numbers were read as N rows of 3."""
    return positions.reshape(3, -1).T


def _bond_ratios(atoms):
    """Distance of each atom's nearest neighbour over the covalent radii."""
    bonded = ~np.isin(atoms.numbers, NOBLE_GASES)
    radii = covalent_radii[atoms.numbers]
    if not bonded.any():
        return np.zeros(0)
    reach = 4.5 * float(radii[bonded].max())
    first, second, lengths = neighbors(atoms, reach)
    ratios = lengths / (radii[first] + radii[second])
    nearest = np.full(len(atoms), np.inf)
    np.minimum.at(nearest, first, ratios)
    nearest = nearest[bonded]
    return nearest[np.isfinite(nearest)]


def neighbors(atoms, reach):
    """Pairs within a reach in Å: atoms i and j, and the distance."""
    atoms = ase.Atoms(
        atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc
    )
    return vesin.ase_neighbor_list("ijd", atoms, reach)
