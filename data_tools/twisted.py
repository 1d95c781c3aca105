"""Bilayers whose layers are turned against each other, in a common cell.

Two lattices share a cell where the integer multiples of one come near those of
the other, turned. What is left is strain, which is divided between the layers.
Supercells, ribbons and rattled cells are ASE's (`atoms.repeat`,
`ase.build.graphene_nanoribbon`, `atoms.rattle`).
"""

import dataclasses
import math

import ase
import ase.build
import numpy as np
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

# Degrees by which a cell that is searched for may differ from the angle.
ANGLE_TOLERANCE = 0.05
# Sine of the smallest corner of such a cell.
CORNER = np.sin(np.radians(55))
# Relative errors of lengths and angles of a lattice with symmetry.
LATTICE_TOLERANCE = 1e-3
# Atoms collide below this share of the sum of their covalent radii.
COLLISION = 0.8


@dataclasses.dataclass
class TwistedBilayer:
    """Two layers in one cell.

    Attributes:
        atoms: `ase.Atoms`; the bottom layer first. Tags are 1 below, 2 above.
        angle: float. By which the top layer is turned against the bottom one,
            counterclockwise, in degrees.
        strains: `(2, 2)` array. The principal strains of the bottom and of
            the top layer, without unit; positive where it is stretched.
        cells: two `(2, 2)` int arrays. The vectors of the common cell in those
            of each layer, in rows.
    """

    atoms: ase.Atoms
    angle: float
    strains: np.ndarray
    cells: tuple


def twisted_bilayer(
    bottom,
    top=None,
    cells=None,
    angle=None,
    distance=3.35,
    shift=(0.0, 0.0),
    max_strain=0.01,
    share=0.5,
    max_atoms=20000,
    vacuum=15.0,
):
    """A commensurate bilayer of any two lattices.

    Args:
        bottom: `ase.Atoms`. A layer; its third vector stands on the others.
        top: `ase.Atoms`. Defaults to the same layer.
        cells: two `(2, 2)` int arrays, see `TwistedBilayer` and
            `commensurate_cells`. Either these or `angle`.
        angle: float, in degrees. Takes the cell with the fewest atoms whose
            angle differs by less than 0.05°, see `find_cells`.
        distance: float. From the highest atom of the bottom layer to the
            lowest of the top one, in Å.
        shift: two floats. By which the top layer is moved, in vectors of the
            bottom lattice. Without it the origins of both lie on one another.
        max_strain: float. Largest strain of either layer.
        share: float, 0 to 1. The share of the strain that the bottom layer
            takes.
        max_atoms: int. Of the whole cell.
        vacuum: float. Above the top layer, in Å.

    Returns:
        `TwistedBilayer`, periodic in all directions.

    Raises:
        ValueError: if a layer is no layer, the strain or the number of atoms
            exceeds its limit, atoms of different layers collide, or no cell is
            found.

    Example:

    >>> import ase.build
    >>> graphene = ase.build.graphene(vacuum=5.0)
    >>> magic = commensurate_cells(graphene, 31, 32)
    >>> twisted = twisted_bilayer(graphene, cells=magic)
    >>> len(twisted.atoms), round(twisted.angle, 3)
    (11908, 1.05)
    """
    layers = [_layer(bottom), _layer(bottom if top is None else top)]
    if not 0 <= share <= 1:
        raise ValueError(f"`share` is 0 to 1. Received: {share}.")
    for name, length in (("distance", distance), ("vacuum", vacuum)):
        if not 0 <= length < math.inf:
            raise ValueError(f"`{name}` is 0 Å or more. Received: {length}.")
    if angle is not None and not math.isfinite(angle):
        raise ValueError(f"`angle` is a number. Received: {angle}.")
    if (cells is None) == (angle is None):
        raise ValueError("Give either `cells` or `angle`.")
    if cells is None:
        cells = find_cells(*layers, angle, max_strain, share, max_atoms)
    cells = tuple(np.asarray(cell, dtype=int) for cell in cells)
    own = [
        cell @ layer.cell.array[:2, :2] for cell, layer in zip(cells, layers)
    ]
    if not min(np.linalg.det(own)) > 0:
        raise ValueError(
            "The two vectors of a cell span a positive area. Received: "
            f"{[cell.tolist() for cell in cells]}."
        )
    common, angle, strains = _deformations(*own, share)
    strain = np.abs(strains).max()
    if strain > max_strain:
        raise ValueError(
            f"The layers are strained by {strain:.2%}, more than `max_strain` "
            f"= {max_strain:.2%}. Take another cell, or raise it."
        )
    number = np.rint(np.linalg.det(cells)) @ [len(layer) for layer in layers]
    if number > max_atoms:
        raise ValueError(
            f"The cell has {number:.0f} atoms, more than `max_atoms` = "
            f"{max_atoms}."
        )
    low, high = (_fill(*pair, common) for pair in zip(layers, cells))
    high.positions[:, :2] += np.asarray(shift) @ np.linalg.solve(
        cells[0], common
    )
    atoms = _stack(low, high, distance, vacuum)
    _check_distances(atoms, vacuum)
    return TwistedBilayer(atoms, float(angle), strains, cells)


def commensurate_cells(bottom, m, n, top=None, top_m=None, top_n=None):
    """The cells (m, n) of hexagonal or square lattices, without a search.

    The first vector of the common cell is `m a1 + n a2` of the bottom lattice
    and `n a1 + m a2` of an equal top lattice, with a1 and a2 at 60° (or 90°);
    the second is turned by as much. In hexagonal bilayers of equal layers
    `cos θ = (m² + 4mn + n²) / (2 (m² + mn + n²))`, and graphene has
    `4 (m² + mn + n²)` atoms.

    Lopes dos Santos, Peres and Castro Neto, Phys. Rev. Lett. 99, 256802
    (2007).

    Args:
        bottom: `ase.Atoms`.
        m: int.
        n: int.
        top: `ase.Atoms`. Defaults to the same layer.
        top_m: int. Of the top lattice, in place of n.
        top_n: int. Of the top lattice, in place of m.

    Returns:
        Two `(2, 2)` int arrays.

    Raises:
        ValueError: if a lattice is neither hexagonal nor square, or both
            numbers are 0.
    """
    top = bottom if top is None else top
    top_m = n if top_m is None else top_m
    top_n = m if top_n is None else top_n
    return _turned_cell(bottom, m, n), _turned_cell(top, top_m, top_n)


def find_cells(bottom, top, angle, max_strain, share=0.5, max_atoms=20000):
    """The smallest common cell of any two lattices near an angle.

    Vectors of one lattice are compared with the turned ones of the other. Of
    equally many atoms the cell with the least strain is taken. Corners of a
    cell are 55° to 125°.

    Args:
        bottom: `ase.Atoms`.
        top: `ase.Atoms`.
        angle: float, in degrees.
        max_strain: float. Of either layer.
        share: float. Of the bottom layer in the strain.
        max_atoms: int.

    Returns:
        Two `(2, 2)` int arrays.

    Raises:
        ValueError: if no cell has so little strain and so few atoms.
    """
    layers = [_layer(bottom), _layer(top)]
    lattices = [layer.cell.array[:2, :2] for layer in layers]
    areas = [np.linalg.det(lattice) for lattice in lattices]
    density = sum(len(x) / area for x, area in zip(layers, areas))
    pairs, ends = _matching_vectors(
        lattices, angle, max_strain, 2 * np.sqrt(max_atoms / density)
    )
    lengths = np.linalg.norm(ends, axis=1)
    best, chosen = (max_atoms + 0.5, np.inf), None
    for number, (pair, end) in enumerate(zip(pairs, ends)):
        # The last vector that makes a cell as small as the best one.
        room = best[0] / density * (1 + max_strain) ** 2 / CORNER
        if lengths[number] ** 2 > room:
            break
        others = slice(number, np.searchsorted(lengths * lengths[number], room))
        area = end[0] * ends[others, 1] - end[1] * ends[others, 0]
        wide = area > CORNER * lengths[number] * lengths[others]
        second = pairs[others][wide]
        if not len(second):
            continue
        cells = np.stack([np.broadcast_to(pair, second.shape), second], axis=2)
        found, strains = _deformations(
            *(cells[:, s] @ lattices[s] for s in (0, 1)), share
        )[1:]
        strain = np.abs(strains).max(axis=(0, 2))
        off = np.abs((found - angle + 180) % 360 - 180)
        counts = np.abs(np.rint(np.linalg.det(cells))) @ [
            len(x) for x in layers
        ]
        counts[(strain > max_strain) | (off > ANGLE_TOLERANCE)] = np.inf
        first = np.lexsort([strain.round(9), counts])[0]
        key = counts[first], strain[first].round(9)
        if key < best:
            best, chosen = key, cells[first]
    if chosen is None:
        raise ValueError(
            f"No common cell at {angle}° has strains below {max_strain:.2%} "
            f"and at most {max_atoms} atoms. Raise one of the two, or change "
            "the angle."
        )
    return tuple(chosen)


def _matching_vectors(lattices, angle, max_strain, reach):
    """Integer vectors of the two lattices that meet when the top is turned.

    Args:
        lattices: two `(2, 2)` arrays in Å.
        angle: float, in degrees.
        max_strain: float.
        reach: float, in Å.

    Returns:
        `(num, 2, 2)` int array, below and above; and the `(num, 2)` ends of
        those below, in Å, by their length, then by their direction.
    """
    turn = np.radians(angle)
    rotation = np.array(
        [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    )
    top = lattices[1] @ rotation
    limits = reach * np.linalg.norm(np.linalg.inv(lattices[0]), axis=0)
    axes = [np.arange(-int(x), int(x) + 1) for x in limits]
    numbers = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    ends = numbers @ lattices[0]
    lengths = np.linalg.norm(ends, axis=1)
    others = np.rint(ends @ np.linalg.inv(top)).astype(int)
    misses = np.linalg.norm(others @ top - ends, axis=1)
    # Each layer may be strained.
    slack = 2 * max_strain + np.radians(ANGLE_TOLERANCE)
    near = (misses <= slack * lengths) & others.any(axis=1)
    near &= (lengths > 0) & (lengths <= reach)
    direction = np.arctan2(ends[:, 1], ends[:, 0]).round(6) % (2 * np.pi)
    order = np.lexsort([direction, lengths.round(6)])
    order = order[near[order]]
    return np.stack([numbers, others], axis=1)[order], ends[order]


def _layer(atoms):
    """A layer with its first vector along x, and no atom beyond a border."""
    cell = atoms.cell
    upright = np.abs(cell.cellpar()[3:5] - 90) < 0.1
    if not cell.rank == 3 or not upright.all():
        raise ValueError(
            "A layer has a cell of three vectors, of which the third stands on "
            f"the first two. Received: {cell.cellpar().round(3).tolist()} (Å, "
            "degrees)."
        )
    if len(atoms) == 0:
        raise ValueError("A layer without atoms was received.")
    if np.linalg.det(cell.array) < 0:
        raise ValueError(
            "The vectors of a layer are right-handed, and these are "
            "left-handed. Exchange the first two, or reverse the third."
        )
    heights = atoms.get_scaled_positions()[:, 2]
    ordered = np.sort(heights)
    gaps = np.diff(ordered, append=ordered[0] + 1)
    bottom = ordered[(gaps.argmax() + 1) % len(ordered)]
    scaled = atoms.get_scaled_positions()
    # Rounded, or an atom at the bottom might go to the top.
    scaled[:, 2] = np.round(heights - bottom, 9) % 1
    layer = ase.Atoms(
        atoms.numbers,
        cell=cell.standard_form()[0],
        scaled_positions=scaled,
        pbc=True,
    )
    return layer


def _turned_cell(atoms, m, n):
    """Vectors `m a1 + n a2` and that turned by a sixth or fourth, as rows."""
    a, b, _, _, _, corner = atoms.cell.cellpar()
    is_equal = abs(a / b - 1) < LATTICE_TOLERANCE
    near = [x for x in (60, 90, 120) if abs(corner / x - 1) < LATTICE_TOLERANCE]
    if not is_equal or not near:
        raise ValueError(
            "Cells (m, n) belong to hexagonal and square lattices; the vectors "
            f"of this one have {a:.4f} and {b:.4f} Å and {corner:.2f}° between "
            "them. Give an angle instead."
        )
    if not (m or n):
        raise ValueError("Of m and n one is not 0. Received: 0, 0.")
    if near[0] == 90:
        return np.array([[m, n], [-n, m]])
    vectors = np.array([[m, n], [-n, m + n]])
    if near[0] == 120:
        # The vector at 60° is the sum of the two.
        vectors = vectors @ np.array([[1, 0], [1, 1]])
    return vectors


def _deformations(bottom, top, share):
    """How two cells become one.

    The top cell goes to the bottom one by a rotation and a stretch (polar
    decomposition); the bottom layer takes its share of the stretch, inverted.

    Args:
        bottom: `(..., 2, 2)` array in Å, vectors in rows.
        top: `(..., 2, 2)` array.
        share: float.

    Returns:
        `(..., 2, 2)` common cells in Å, `(...)` angles in degrees, and
        `(2, ..., 2)` principal strains of both layers.
    """
    left, stretches, right = np.linalg.svd(np.linalg.solve(top, bottom))
    rotation = left @ right
    angles = np.degrees(np.arctan2(rotation[..., 0, 1], rotation[..., 0, 0]))
    below, above = stretches**-share, stretches ** (1 - share)
    along = right.swapaxes(-1, -2)
    common = bottom @ (along * below[..., None, :]) @ right
    return common, angles, np.stack([below, above]) - 1


def _fill(layer, cell, common):
    """The layer, repeated in the common cell."""
    whole = np.eye(3, dtype=int)
    whole[:2, :2] = cell
    atoms = ase.build.make_supercell(layer, whole)
    vectors = atoms.cell.array.copy()
    vectors[:2, :2] = common
    atoms.set_cell(vectors, scale_atoms=True)
    return atoms


def _stack(low, high, distance, vacuum):
    """One layer above the other, in the middle of a cell along x."""
    low.set_tags(1)
    high.set_tags(2)
    low.positions[:, 2] -= low.positions[:, 2].min()
    start = low.positions[:, 2].max() + distance
    high.positions[:, 2] += start - high.positions[:, 2].min()
    atoms = low + high
    atoms.cell[2] = [0, 0, atoms.positions[:, 2].max() + vacuum]
    atoms.positions[:, 2] += vacuum / 2
    atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    atoms.wrap()
    return atoms


def _check_distances(atoms, vacuum):
    """Refuses layers that collide, also with the image above or below."""
    radii = COLLISION * covalent_radii[atoms.numbers]
    first, second, lengths = neighbor_list("ijd", atoms, radii)
    tags = atoms.get_tags()
    apart = tags[first] != tags[second]
    if apart.any():
        raise ValueError(
            "Atoms of different layers collide: the nearest are "
            f"{lengths[apart].min():.3f} Å apart, through the space between "
            f"the layers or the {vacuum:g} Å of vacuum above them. Raise "
            "`distance` or `vacuum`."
        )
