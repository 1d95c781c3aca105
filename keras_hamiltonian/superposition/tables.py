"""Tables of the species alone, computed once for all structures."""

import itertools

from keras_hamiltonian.superposition.momentum import MomentumGrid
from keras_hamiltonian.superposition.neutral_atoms import (
    neutral_projector_tables,
)
from keras_hamiltonian.superposition.neutral_atoms import onsite_tables
from keras_hamiltonian.superposition.projector_part import ProjectorCouplings
from keras_hamiltonian.superposition.two_centre import TwoCentreTable


class SpeciesTables:
    """Tables of two-centre integrals between all pairs of species.

    Args:
        species: list of `Species`; a kind is a position in it.
        has_spin: bool. Whether spin-orbit coupling is kept.
        has_neutral_atoms: bool. Whether the projectors of neutral-atom
            potentials are wanted.

    Attributes:
        overlap, kinetic, projectors: dicts from pairs of kinds to
            `TwoCentreTable`; kinetic energies in hartree.
        couplings: list of `ProjectorCouplings` by kind.
        neutral_projectors, neutral_couplings, neutral_onsite: the same of
            neutral-atom potentials, and tables of `<φφ|V>`; `None` without.
        grid: `MomentumGrid` of the integrals.
    """

    def __init__(self, species, has_spin, has_neutral_atoms):
        grid = self.grid = MomentumGrid()
        self.couplings = [
            ProjectorCouplings(s.projectors, s.reach, has_spin) for s in species
        ]
        orbitals = [grid.transform(s.orbitals) for s in species]
        functions = [grid.transform(c.functions) for c in self.couplings]
        self.overlap, self.kinetic, self.projectors = {}, {}, {}
        for a, b in itertools.product(range(len(species)), repeat=2):
            degrees = species[a].degrees, species[b].degrees
            reach = species[a].reach + species[b].reach
            both = orbitals[a], orbitals[b]
            self.overlap[a, b] = TwoCentreTable.of_functions(
                degrees, both, reach, grid
            )
            self.kinetic[a, b] = TwoCentreTable.of_functions(
                degrees, both, reach, grid, 0.5 * grid.k**2
            )
            if not self.couplings[b].functions:
                continue
            self.projectors[a, b] = TwoCentreTable.of_functions(
                (degrees[0], [f.degree for f in self.couplings[b].functions]),
                (orbitals[a], functions[b]),
                species[a].reach + self.couplings[b].reach,
                grid,
            )
        self.neutral_projectors = self.neutral_couplings = None
        self.neutral_onsite = None
        if has_neutral_atoms:
            found = neutral_projector_tables(species)
            self.neutral_projectors, self.neutral_couplings = found
            self.neutral_onsite = onsite_tables(species, grid)
