"""Lattices that ABACUS knows by name (`latname` in INPUT)."""

import numpy as np

# Parameters of `LATTICE_PARAMETERS` and rows in units of the lattice constant.
_CUBIC = {
    "sc": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "fcc": ((-0.5, 0, 0.5), (0, 0.5, 0.5), (-0.5, 0.5, 0)),
    "bcc": ((0.5, 0.5, 0.5), (-0.5, 0.5, 0.5), (-0.5, -0.5, 0.5)),
}


def lattice_by_name(name, parameters):
    """Rows of a named lattice, in units of the lattice constant.

    Args:
        name: str. `latname` of ABACUS.
        parameters: list of floats. Ratios b/a and c/a and cosines, as
            `LATTICE_PARAMETERS` lists them.

    Returns:
        `(3, 3)` array.

    Raises:
        ValueError: for an unknown name or another number of parameters.

    Example:

    >>> lattice_by_name("hexagonal", [2.0]).round(3).tolist()
    [[1.0, 0.0, 0.0], [-0.5, 0.866, 0.0], [0.0, 0.0, 2.0]]
    """
    if name in _CUBIC:
        found, rows = 0, lambda: _CUBIC[name]
    elif name in _NAMED:
        found, rows = _NAMED[name]
    else:
        known = ", ".join([*_CUBIC, *_NAMED])
        raise ValueError(f"latname {name!r} is unknown; known are {known}.")
    if len(parameters) != found:
        raise ValueError(
            f"latname {name} has {found} LATTICE_PARAMETERS. Received: "
            f"{len(parameters)}."
        )
    return np.array(rows(*parameters), dtype=float)


def _hexagonal(c):
    return (1, 0, 0), (-0.5, np.sqrt(0.75), 0), (0, 0, c)


def _trigonal(cosine):
    x, y = np.sqrt((1 - cosine) / 2), np.sqrt((1 - cosine) / 6)
    z = np.sqrt((1 + 2 * cosine) / 3)
    return (x, -y, z), (0, 2 * y, z), (-x, -y, z)


def _body_centred_tetragonal(c):
    return (0.5, -0.5, c / 2), (0.5, 0.5, c / 2), (-0.5, -0.5, c / 2)


def _base_centred_orthorhombic(b, c):
    return (0.5, b / 2, 0), (-0.5, b / 2, 0), (0, 0, c)


def _face_centred_orthorhombic(b, c):
    return (0.5, 0, c / 2), (0.5, b / 2, 0), (0, b / 2, c / 2)


def _body_centred_orthorhombic(b, c):
    return (0.5, b / 2, c / 2), (-0.5, b / 2, c / 2), (-0.5, -b / 2, c / 2)


def _monoclinic(b, c, cosine):
    sine = np.sqrt(1 - cosine**2)
    return (1, 0, 0), (b * cosine, b * sine, 0), (0, 0, c)


def _base_centred_monoclinic(b, c, cosine):
    sine = np.sqrt(1 - cosine**2)
    return (0.5, 0, -c / 2), (b * cosine, b * sine, 0), (0.5, 0, c / 2)


def _triclinic(b, c, cos_ab, cos_ac, cos_bc):
    sine = np.sqrt(1 - cos_ab**2)
    y = (cos_bc - cos_ac * cos_ab) / sine
    z = np.sqrt(1 - cos_ac**2 - y**2)
    return (1, 0, 0), (b * cos_ab, b * sine, 0), (c * cos_ac, c * y, c * z)


_NAMED = {
    "hexagonal": (1, _hexagonal),
    "trigonal": (1, _trigonal),
    "st": (1, lambda c: ((1, 0, 0), (0, 1, 0), (0, 0, c))),
    "bct": (1, _body_centred_tetragonal),
    "so": (2, lambda b, c: ((1, 0, 0), (0, b, 0), (0, 0, c))),
    "baco": (2, _base_centred_orthorhombic),
    "fco": (2, _face_centred_orthorhombic),
    "bco": (2, _body_centred_orthorhombic),
    "sm": (3, _monoclinic),
    "bacm": (3, _base_centred_monoclinic),
    "triclinic": (5, _triclinic),
}
