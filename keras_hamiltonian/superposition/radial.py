"""Radial functions, as cubic pieces between the points of a mesh."""

import dataclasses

import numpy as np
from scipy.interpolate import CubicHermiteSpline


@dataclasses.dataclass(frozen=True, eq=False)
class RadialFunction:
    """f(r) of a function f(r) Y_lm about an atom.

    Between two points of the mesh a cubic that has the values and slopes of
    both; below the first point it is proportional to r^l, beyond the last
    one zero.

    Attributes:
        degree: int, l. For potentials and densities 0.
        mesh: `(n,)` float64, ascending, bohr.
        values: `(n,)` float64. Orbitals and projectors bohr^-3/2, densities
            bohr^-3, potentials hartree.
        slopes: `(n,)` float64, the derivatives.
    """

    degree: int
    mesh: np.ndarray
    values: np.ndarray
    slopes: np.ndarray

    def __post_init__(self):
        shapes = {np.shape(x) for x in (self.mesh, self.values, self.slopes)}
        if len(shapes) != 1 or len(self.mesh) < 2:
            raise ValueError(
                "A radial function needs a value and a slope at each of at "
                f"least two points. Received: arrays of shapes {shapes}."
            )
        if self.mesh[0] < 0 or (np.diff(self.mesh) <= 0).any():
            raise ValueError(
                "The mesh of a radial function ascends from 0 or above. "
                f"Received: {self.mesh[:3].tolist()} ..."
            )

    @classmethod
    def through(cls, degree, mesh, values):
        """From values alone: slopes of the parabolas through three points."""
        mesh, values = (np.asarray(x, dtype=float) for x in (mesh, values))
        steps = np.diff(mesh)
        rises = np.diff(values) / steps
        slopes = np.empty_like(values)
        slopes[1:-1] = rises[1:] * steps[:-1] + rises[:-1] * steps[1:]
        slopes[1:-1] /= steps[:-1] + steps[1:]
        slopes[0] = slopes[1]
        slopes[-1] = 2 * rises[-1] - slopes[-2]
        return cls(degree, mesh, values, slopes)

    @property
    def end(self):
        """Radius of the last point of the mesh, bohr."""
        return float(self.mesh[-1])

    def up_to(self, radius):
        """The same function, zero beyond a radius (bohr)."""
        if radius >= self.end:
            return self
        inside = self.mesh < radius
        piece = CubicHermiteSpline(self.mesh, self.values, self.slopes)
        values, slopes = (
            np.append(known[inside], piece(radius, derivative))
            for derivative, known in enumerate((self.values, self.slopes))
        )
        mesh = np.append(self.mesh[inside], radius)
        return RadialFunction(self.degree, mesh, values, slopes)

    def __call__(self, radii):
        """Values at radii (bohr): an array of the same shape."""
        radii = np.asarray(radii, dtype=float)
        spline = CubicHermiteSpline(self.mesh, self.values, self.slopes)
        values = spline(np.clip(radii, self.mesh[0], self.mesh[-1]))
        if self.degree and self.mesh[0] > 0:
            values *= np.minimum(radii / self.mesh[0], 1.0) ** self.degree
        return np.where(radii > self.mesh[-1], 0.0, values)
