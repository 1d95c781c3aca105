"""Neutral-atom potentials by projectors, with OpenMX's own quadratures.

For models that are to meet OpenMX's H⁰ to a microvolt. The expansion is not
converged, and neither are the quadratures: both are part of OpenMX's numbers.
"""

import itertools

import numpy as np
from scipy.special import spherical_jn

from keras_hamiltonian.superposition.momentum import LARGEST_WAVE_NUMBER
from keras_hamiltonian.superposition.momentum import NUM_RADII
from keras_hamiltonian.superposition.momentum import MomentumGrid
from keras_hamiltonian.superposition.momentum import gauss_legendre
from keras_hamiltonian.superposition.projector_part import ProjectorCouplings
from keras_hamiltonian.superposition.radial import RadialFunction
from keras_hamiltonian.superposition.two_centre import TwoCentreTable

# Gauss-Legendre points in r and in k, and uniform points for the orbitals.
NUM_POINTS = 300
NUM_UNIFORM = 900
FIRST_WAVE_NUMBER = 1e-6


def check_neutral_projectors(species):
    """Raises a `ValueError` if one of a list of `Species` has no projectors
    of its neutral-atom potential."""
    for s in species:
        if s.neutral_atom_projectors is None:
            raise ValueError(
                f"The species of {s.symbol} has no projectors of its "
                "neutral-atom potential, which only OpenMX's have. Take "
                'neutral_atoms="grid".'
            )


def neutral_projector_tables(species):
    """Tables between orbitals and projectors of neutral-atom potentials.

    Args:
        species: list of `Species`.

    Returns:
        Dict from pairs of kinds to `TwoCentreTable`, and the list of
        `ProjectorCouplings` by kind.
    """
    grid = MomentumGrid(FIRST_WAVE_NUMBER, NUM_POINTS)
    couplings = [
        ProjectorCouplings(s.neutral_atom_projectors, s.reach, has_spin=False)
        for s in species
    ]
    orbitals = [_orbital_transforms(s, grid.k) for s in species]
    projectors = [_projector_transforms(c.functions, grid.k) for c in couplings]
    tables = {
        (a, b): TwoCentreTable.of_functions(
            (
                species[a].degrees,
                [f.degree for f in couplings[b].functions],
            ),
            (orbitals[a], projectors[b]),
            species[a].reach + species[b].reach,
            grid,
        )
        for a, b in itertools.product(range(len(species)), repeat=2)
    }
    return tables, couplings


def _projector_transforms(functions, k):
    values = np.empty((len(k), len(functions)))
    for degree in {f.degree for f in functions}:
        same = [n for n, f in enumerate(functions) if f.degree == degree]
        mesh = functions[same[0]].mesh
        r, weights = gauss_legendre(NUM_POINTS, mesh[0], mesh[-1])
        integrand = np.column_stack([functions[n](r) for n in same])
        integrand *= (weights * r**2)[:, None]
        values[:, same] = spherical_jn(degree, k[:, None] * r) @ integrand
    return values


def _orbital_transforms(species, k):
    """Trapezoids in r on uniform wave numbers, between which is a cubic."""
    uniform = LARGEST_WAVE_NUMBER * np.arange(NUM_UNIFORM) / NUM_UNIFORM
    values = []
    for orbital in species.orbitals:
        r = np.linspace(orbital.mesh[0], orbital.end, NUM_UNIFORM + 1)
        weights = np.full(len(r), r[1] - r[0])
        weights[[0, -1]] /= 2
        bessel = spherical_jn(orbital.degree, uniform[:, None] * r)
        transform = bessel @ (weights * r**2 * orbital(r))
        values.append(RadialFunction.through(0, uniform, transform)(k))
    return np.column_stack(values)


def onsite_tables(species, grid):
    """Tables of `<φ φ'|V>` with the potential of another neutral atom.

    Args:
        species: list of `Species`.
        grid: `MomentumGrid`.

    Returns:
        Dict from pairs of kinds, of the orbitals and of the potential, to
        `TwoCentreTable`.
    """
    tables = {}
    for a, left in enumerate(species):
        r, weights = gauss_legendre(NUM_RADII, 0.0, left.reach)
        orbitals = np.column_stack([f(r) for f in left.orbitals])
        bessel = {
            degree: spherical_jn(degree, grid.k[:, None] * r)
            for degree in range(2 * max(left.degrees) + 1)
        }
        for b, right in enumerate(species):
            potential = right.neutral_atom_potential.up_to(right.reach)
            potential = grid.transform([potential])

            def transformed(p, q, degree):
                products = orbitals[:, p] * orbitals[:, q]
                products *= (weights * r**2)[:, None]
                return potential * (bessel[degree] @ products)

            tables[a, b] = TwoCentreTable.of_products(
                (left.degrees, left.degrees),
                transformed,
                left.reach + right.reach,
                grid,
            )
    return tables


def set_onsite(pairs, tables, entries):
    """Onsite blocks with the exact potentials of all atoms in reach.

    Args:
        pairs: `CrystalPairs`.
        tables: of `onsite_tables`.
        entries: `(num_entries,)` array, hartree, whose onsite blocks change.
    """
    # Onsite pairs come first, in the order of the atoms.
    number = np.cumsum(pairs.chosen) - 1
    entries[: pairs.boundaries[number[-1] + 1]] = 0.0
    kinds = pairs.kinds[pairs.from_chosen[:, 3:]]
    for first, second in itertools.product(np.unique(pairs.kinds), repeat=2):
        some = pairs.from_chosen[(kinds == (first, second)).all(axis=1)]
        blocks = tables[first, second].blocks(pairs.between(some))
        places = pairs.places(number[some[:, 3]])
        np.add.at(entries, places, blocks.reshape(len(some), -1))
