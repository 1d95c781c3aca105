"""What a density-functional program knows about an element.

Radii are bohr and energies hartree in this room, as in the programs' files.
"""

import dataclasses

from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.superposition.radial import RadialFunction


@dataclasses.dataclass(frozen=True, eq=False)
class Projector:
    """One term |p> e <p| of a non-local pseudopotential, for all m.

    Attributes:
        functions: tuple of `RadialFunction`. One, or two for j = l + 1/2 and
            j = l - 1/2.
        energies: tuple of float, hartree, as many.
    """

    functions: tuple[RadialFunction, ...]
    energies: tuple[float, ...]

    def __post_init__(self):
        degrees = {function.degree for function in self.functions}
        counts = len(self.functions), len(self.energies)
        if len(degrees) != 1 or counts not in ((1, 1), (2, 2)):
            raise ValueError(
                "A projector has one function with its energy, or two of one "
                f"degree for j = l ± 1/2. Received: {counts[0]} functions of "
                f"degrees {sorted(degrees)}, {counts[1]} energies."
            )

    @property
    def degree(self):
        """The l of the projector."""
        return self.functions[0].degree


@dataclasses.dataclass(frozen=True, eq=False)
class Species:
    """An element as a program describes it; whatever program that is.

    Attributes:
        symbol: str. The element.
        reach: float, bohr. Where the orbitals end.
        orbitals: tuple of `RadialFunction`, one for each shell. A tail beyond
            the reach counts in integrals of two centres, not on the grid.
        projectors: tuple of `Projector`, of the non-local pseudopotential.
        neutral_atom_potential: `RadialFunction`, hartree: local
            pseudopotential and Hartree potential of the valence density.
        valence_density: `RadialFunction`, bohr^-3.
        core_density: `RadialFunction` of the partial core, or `None`.
        num_electrons: float. Valence electrons of the neutral atom.
        neutral_atom_projectors: tuple of `Projector`, the expansion of the
            neutral-atom potential that the program uses, or `None`.
        field_reach: float, bohr. Where densities and the neutral-atom
            potential end. Defaults to the reach of the orbitals.
        damping: bool. Whether non-local parts end smoothly within the last
            bohr of the orbitals' reach, as in OpenMX. Defaults to `False`.
    """

    symbol: str
    reach: float
    orbitals: tuple[RadialFunction, ...]
    projectors: tuple[Projector, ...]
    neutral_atom_potential: RadialFunction
    valence_density: RadialFunction
    core_density: RadialFunction | None
    num_electrons: float
    neutral_atom_projectors: tuple[Projector, ...] | None = None
    field_reach: float | None = None
    damping: bool = False

    def __post_init__(self):
        if self.field_reach is None:
            object.__setattr__(self, "field_reach", self.reach)

    @property
    def degrees(self):
        """Tuple of the degrees of the shells."""
        return tuple(orbital.degree for orbital in self.orbitals)


def basis_of(species):
    """The `OrbitalBasis` of a dict from element symbols to `Species`."""
    return OrbitalBasis({s: found.degrees for s, found in species.items()})
