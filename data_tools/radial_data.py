"""What readers of species files share: numbers, splines, projectors by j."""

import itertools
import re

import numpy as np
from scipy.interpolate import CubicSpline

from keras_hamiltonian.superposition.radial import RadialFunction
from keras_hamiltonian.superposition.species import Projector


def numbers(place, text, count=None):
    """The numbers of a text, also those that Fortran writes as `0.5-100`.

    Args:
        place: str. File and section, for errors.
        text: str or `None`, of a section that is not there.
        count: int. How many are expected. Defaults to any number.

    Returns:
        `(count,)` float64 array.

    Raises:
        ValueError: if there are others, or something else.
    """
    if text is None:
        raise ValueError(f"{place} is missing: the file is incomplete.")
    text = re.sub(r"[dD](?=[+-]?\d)", "e", text)
    text = re.sub(r"(?<=\d)([+-]\d{3})\b", r"e\1", text)
    try:
        found = np.array(text.split(), dtype=float)
    except ValueError as error:
        raise ValueError(f"{place} has no number: {error}.") from None
    if count not in (None, len(found)) or not np.isfinite(found).all():
        raise ValueError(
            f"{place} has {np.isfinite(found).sum()} numbers; expected: "
            f"{count or 'finite ones'}. The file was cut short or damaged."
        )
    return found


def splined(degree, mesh, values, power=0):
    """The cubic spline through values, times a power of r.

    A function f(r) Y_lm without a cusp is even or odd in r as r^l is: so is
    the spline, if the mesh begins at 0.

    Args:
        degree: int, l.
        mesh: `(n,)` array, bohr.
        values: `(n,)` array, of f / r^power.
        power: int. 0 or l.

    Returns:
        `RadialFunction`.
    """
    start = "not-a-knot"
    if mesh[0] == 0:
        start = (1 + (degree - power) % 2, 0.0)
    spline = CubicSpline(mesh, values, bc_type=(start, (2, 0.0)))
    if power:
        # The product is no cubic: four pieces for each.
        parts = [np.linspace(a, b, 5)[:-1] for a, b in zip(mesh, mesh[1:])]
        mesh = np.append(np.concatenate(parts), mesh[-1])
    values, slopes = spline(mesh), spline(mesh, 1)
    if power:
        slopes = mesh**power * slopes + power * mesh ** (power - 1) * values
        values = mesh**power * values
    return RadialFunction(degree, mesh, values, slopes)


def projectors_by_j(place, terms):
    """Projectors of terms |p> e <p|, those of j = l + 1/2 and l - 1/2 in pairs.

    Args:
        place: str. The file, for errors.
        terms: list of `(j, function, energy)`; j is `None` without spin-orbit
            coupling, the energy in hartree.

    Returns:
        Tuple of `Projector`, in the order of degrees.

    Raises:
        ValueError: if a j is not l ± 1/2.
    """
    projectors, groups = [], {}
    for j, function, energy in terms:
        l = function.degree
        sign = 0 if j is None or l == 0 else round(2 * (j - l))
        if j is not None and (abs(j - l) != 0.5 or j < 0):
            raise ValueError(
                f"{place} has a projector of l = {l} and j = {j:g}; expected "
                "j = l + 1/2 or l - 1/2."
            )
        groups.setdefault(l, {}).setdefault(sign, []).append((function, energy))
    for _, by_sign in sorted(groups.items()):
        projectors += [Projector((f,), (e,)) for f, e in by_sign.get(0, ())]
        above, below = by_sign.get(1, []), by_sign.get(-1, [])
        for pair in itertools.zip_longest(above, below):
            known = next(term for term in pair if term is not None)
            pair = [term or (known[0], 0.0) for term in pair]
            projectors.append(Projector(*map(tuple, zip(*pair))))
    return tuple(projectors)


def check_spin_orbit(place, projectors, advice):
    """Whether all projectors have their j.

    Raises:
        ValueError: if one of l > 0 has not.
    """
    plain = {p.degree for p in projectors if len(p.functions) == 1} - {0}
    if plain:
        raise ValueError(
            f"{place} has projectors of l = {sorted(plain)} without j, so no "
            f"spin-orbit coupling. {advice}"
        )
