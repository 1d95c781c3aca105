"""OpenMX's expansion of neutral-atom potentials in projectors."""

import numpy as np

from keras_hamiltonian.superposition.momentum import gauss_legendre
from keras_hamiltonian.superposition.radial import RadialFunction
from keras_hamiltonian.superposition.species import Projector

# Functions for each degree, and degrees above those of the basis.
NUM_FUNCTIONS = 12
MORE_DEGREES = 6
NUM_POINTS = 300


def neutral_atom_projectors(potential, functions, lmax, end):
    """Projectors `V u` of `V ≈ Σ V|u> <u|V|u>⁻¹ <u|V`.

    The u are the pseudo-atomic orbitals of each degree, orthogonal in the
    metric `<f|V|g>`; above the degrees of the file those of its last degree
    times a power of r.

    Args:
        potential: `RadialFunction` V, hartree.
        functions: dict from degrees to lists of `RadialFunction`.
        lmax: int. Largest degree of the basis.
        end: float, bohr. Where projectors are cut.

    Returns:
        Tuple of `Projector`, or `None` where the file has fewer than
        12 functions of a degree.

    Reference: Ozaki and Kino, Phys. Rev. B 72, 045121 (2005), section II D.
    """
    largest = max(functions)
    if min(len(known) for known in functions.values()) < NUM_FUNCTIONS:
        return None
    mesh = potential.mesh
    points, weights = gauss_legendre(NUM_POINTS, mesh[0], mesh[-1])
    weights = weights * points**2

    def product(left, right):
        """`∫ r² f g dr` of values on the mesh."""
        left, right = (
            RadialFunction.through(0, mesh, values)(points)
            for values in (left, right)
        )
        return float((weights * left * right).sum())

    projectors = []
    for degree in range(lmax + MORE_DEGREES + 1):
        power = mesh ** max(degree - largest, 0)
        found = []
        for function in functions[min(degree, largest)][:NUM_FUNCTIONS]:
            raw = function(mesh) * power
            raw /= np.sqrt(product(raw, raw))
            weighted = raw * potential.values
            rest = raw.copy()
            for u, energy in found:
                rest -= u * (energy * product(u, weighted))
            energy = 1.0 / product(rest, rest * potential.values)
            found.append((rest, energy))
        for u, energy in found:
            values = potential.values * u
            projector = RadialFunction.through(degree, mesh, values).up_to(end)
            projectors.append(Projector((projector,), (energy,)))
    return tuple(projectors)
