"""Structures that are none: refused before any library works on them."""

import numpy as np

# Å³; the smallest volume of a periodic cell.
SMALLEST_VOLUME = 1e-6
# Å; no atom and no lattice vector is further away.
FURTHEST = 1e6
# Of one atom; pairs of them are listed. Diamond has 2000 within 14 Å.
MOST_NEIGHBORS = 5000


def check_atoms(atoms):
    """Refuses atoms that cannot be a crystal or molecule.

    Args:
        atoms: `ase.Atoms`.

    Raises:
        ValueError: if there is no atom, a coordinate or lattice vector is not
            finite or far away, an atom is no element, or the cell of a
            periodic structure has no volume.
    """
    if not len(atoms):
        raise ValueError("The structure has no atoms.")
    for what, values in (
        ("positions", atoms.positions),
        ("lattice vectors", np.asarray(atoms.cell)),
    ):
        # NaN is not below either.
        wrong = np.flatnonzero(~(np.abs(values) < FURTHEST).all(axis=1))
        if wrong.size:
            raise ValueError(
                f"The {what} are finite numbers below {FURTHEST:.0e} Å. "
                f"Received: {values[wrong[0]].tolist()} as number {wrong[0]}."
            )
    strange = set(atoms.numbers.tolist()) - set(range(1, 119))
    if strange:
        raise ValueError(
            "Atomic numbers go from 1 to 118. Received: "
            f"{', '.join(map(str, sorted(strange)))}. Ghost and empty atoms "
            "are not supported."
        )
    if atoms.pbc.any() and abs(atoms.cell.volume) < SMALLEST_VOLUME:
        raise ValueError(
            "The cell of a periodic structure needs three independent lattice "
            f"vectors. Received: {np.asarray(atoms.cell).tolist()}."
        )


def check_cell(atoms):
    """Refuses atoms without a cell, where a file needs one.

    Args:
        atoms: `ase.Atoms`.

    Raises:
        ValueError: if there are no three independent lattice vectors.
    """
    if abs(atoms.cell.volume) < SMALLEST_VOLUME:
        raise ValueError(
            "The structure has no cell, and files of this format hold three "
            "lattice vectors. Put the molecule into a box: "
            "atoms.center(vacuum=10); atoms.pbc = True. Received: "
            f"{np.asarray(atoms.cell).tolist()}."
        )


def check_density(atoms, reach):
    """Refuses cells so small that each atom has countless neighbours.

    Args:
        atoms: `ase.Atoms`.
        reach: float. Largest distance of neighbours, Å.

    Raises:
        ValueError: if they have more than 5000.
    """
    if not atoms.pbc.all():
        return
    sphere = 4 / 3 * np.pi * reach**3
    number = len(atoms) * sphere / abs(atoms.cell.volume)
    if number > MOST_NEIGHBORS:
        raise ValueError(
            f"Each atom has about {number:.2g} neighbours within "
            f"{reach:.1f} Å; at most {MOST_NEIGHBORS} are possible. The cell "
            f"of {len(atoms)} atoms has a volume of "
            f"{abs(atoms.cell.volume):.3g} Å³: are its lengths in Å?"
        )
