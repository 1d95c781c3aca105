"""Pictures of influence: where atoms stand, what is drawn, what is refused."""

import ase.build
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import keras_hamiltonian as kh
from keras_hamiltonian.explain.displacement import Displacement
from keras_hamiltonian.explain.influence import Influence
from keras_hamiltonian.explain.targets import BlockTarget
from keras_hamiltonian.plots import influence as influence_plots
from keras_hamiltonian.plots import scene
from keras_hamiltonian.plots.scene import Scene
from keras_hamiltonian.plots.scene import view_axes
from keras_hamiltonian.structures.neighbors import pairs_within

PNG = b"\x89PNG"


@pytest.fixture
def sheet():
    """Graphene, rotated out of the plane of the axes."""
    atoms = ase.build.graphene(size=(3, 3, 1), vacuum=7.5)
    atoms.pbc = True
    atoms.rotate(35, (1, 2, 0), rotate_cell=True)
    return atoms


@pytest.fixture
def influence(sheet):
    """Influence that falls off by a known length."""
    target = BlockTarget(0, 1)
    edges = pairs_within(sheet, {"C": 1.0})
    edges = edges[edges[:, 3] < edges[:, 4]]
    found = Influence(
        sheet,
        target,
        target,
        1.0,
        np.zeros((len(sheet), 3)),
        edges,
        np.zeros((len(edges), 3)),
        np.zeros(len(sheet)),
        np.array([[3.0, 1.0], [0.0, 4.0]]),
        np.array([[1.0, 1.0], [2.0, 0.0]]),
        {},
    )
    found.atom_gradients[:, 0] = np.exp(-found.atom_distances)
    found.edge_gradients[:, 1] = np.exp(-found.edge_distances)
    return found


@pytest.fixture
def figures(monkeypatch):
    """Figures that were written."""
    seen = []
    write = Figure.savefig

    def watched(self, *arguments, **options):
        seen.append(self)
        return write(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", watched)
    return seen


def test_layers_are_seen_from_above(sheet):
    target = BlockTarget(0, 1)
    seen = Scene(sheet, target, target, 20.0)
    np.testing.assert_allclose(seen.places[:, 2], 0, atol=1e-9)
    np.testing.assert_allclose(seen.axes @ seen.axes.T, np.eye(3), atol=1e-9)
    # The pair is in the middle, at its true distance.
    one, other = seen.places[:2]
    np.testing.assert_allclose(one, -other, atol=1e-9)
    edge = sheet.get_distance(0, 1, mic=True)
    assert np.linalg.norm(one - other) == pytest.approx(edge)


@pytest.mark.parametrize(
    "positions, pbc",
    [
        ([[1, 1, 1]], [0, 0, 1]),
        ([[1, 1, 1]], [0, 0, 0]),
        ([[1, 1, 1], [1, 1, 2]], [0, 0, 1]),
        ([[1, 1, 1], [1.5, 1, 2], [3, 1, 2]], [0, 0, 1]),
    ],
)
def test_axes_of_chains_and_molecules(positions, pbc):
    """Even where the positions alone have no flattest direction."""
    atoms = ase.Atoms(f"C{len(positions)}", positions, cell=[9, 9, 2], pbc=pbc)
    axes = view_axes(atoms)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
    if any(pbc):
        np.testing.assert_allclose(axes[0], [0, 0, 1], atol=1e-9)
    if len(atoms) == 3:
        # A zigzag in the plane of x and z is seen along y.
        np.testing.assert_allclose(np.abs(axes[2]), [0, 1, 0], atol=1e-9)


def test_atoms_stand_at_their_nearest_images(influence):
    scene = Scene(influence.atoms, influence.target, influence.target, 20.0)
    flat = np.linalg.norm(scene.places, axis=1)
    np.testing.assert_allclose(flat, influence.atom_distances, atol=1e-9)


def test_map_has_the_values(influence, figures, tmp_path):
    path = tmp_path / "map.png"
    influence_plots.plot_influence_map(influence, path)
    assert path.read_bytes().startswith(PNG)
    axes = figures[0].axes[0]
    circles = axes.collections[-1]
    assert len(circles.get_offsets()) == 18
    # Darker is nearer; the pair is the darkest.
    distances = np.linalg.norm(circles.get_offsets(), axis=1)
    light = circles.get_facecolors()[:, :3].sum(axis=1)
    order = np.argsort(distances, kind="stable")
    assert (np.diff(light[order]) > -1e-6).all()
    assert light.max() > light.min() + 0.5
    # Every chemical bond between drawn atoms, once; none is longer.
    lines = [c for c in axes.collections if isinstance(c, LineCollection)]
    segments = np.array([s for c in lines for s in c.get_segments()])
    lengths = np.linalg.norm(segments[:, 0] - segments[:, 1], axis=1)
    np.testing.assert_allclose(lengths, 1.42, atol=0.01)
    ends = segments.reshape(-1, 2)
    gaps = np.linalg.norm(ends[:, None] - circles.get_offsets(), axis=2)
    assert gaps.min(axis=1).max() < 1e-6
    assert 18 <= len(segments) < 27


def test_signed_values(influence, figures, tmp_path):
    values = np.zeros(18)
    values[:2] = 1.0, -0.5
    influence_plots.plot_influence_map(
        influence, tmp_path / "map.svg", values=values
    )
    circles = figures[0].axes[0].collections[-1]
    red, _, blue, _ = circles.get_facecolors().T
    assert (red > blue + 0.2).sum() == 1
    assert (blue > red + 0.2).sum() == 1


def test_distances(influence, figures, tmp_path):
    path = tmp_path / "distance.png"
    influence_plots.plot_influence_by_distance({"H": influence}, path)
    axes = figures[0].axes[0]
    dots, line, end = axes.lines
    np.testing.assert_allclose(dots.get_ydata(), np.exp(-dots.get_xdata()))
    assert line.get_ydata()[0] == dots.get_ydata().max()
    assert end.get_xdata()[0] == pytest.approx(influence.image_distance)
    with pytest.raises(ValueError, match="One to three.*0"):
        influence_plots.plot_influence_by_distance({}, path)


def test_shares_add_up(influence, figures, tmp_path):
    path = tmp_path / "degrees.png"
    influence_plots.plot_degree_shares(influence, path)
    for axes, first in zip(figures[0].axes, (37.5, 25.0)):
        heights = [bar.get_height() for bar in axes.patches]
        assert sum(heights) == pytest.approx(100)
        assert heights[0] == pytest.approx(first)


def test_degrees_beyond_the_known_letters(influence, figures, tmp_path):
    influence.degrees = influence.edge_orders = np.ones((1, 9))
    influence_plots.plot_degree_shares(influence, tmp_path / "degrees.png")
    for axes in figures[0].axes:
        names = [label.get_text() for label in axes.get_xticklabels()]
        assert [name[0] for name in names] == list("012345678")


def test_arrows(influence, figures, tmp_path):
    vectors = np.zeros((18, 3))
    vectors[:2] = influence.atoms.positions[:2] - influence.target.center(
        influence.atoms
    )
    vectors /= np.linalg.norm(vectors)
    found = Displacement(
        influence.atoms,
        influence.target,
        vectors,
        np.array([2.0]),
        np.array([2.0]),
        influence.edges,
    )
    influence_plots.plot_displacement(found, tmp_path / "arrows.png")
    arrows = figures[0].axes[0].collections[-1]
    # Two of equal length, away from each other.
    assert arrows.N == 2
    np.testing.assert_allclose(arrows.U[0], -arrows.U[1])
    length = np.hypot(arrows.U[0], arrows.V[0])
    assert length == pytest.approx(scene.ARROW_IN_ANGSTROM)


def test_nothing_to_draw(influence, tmp_path):
    influence.atom_gradients[:] = influence.edge_gradients[:] = 0
    path = tmp_path / "map.png"
    for options in ({}, {"values": np.zeros(18)}):
        with pytest.raises(ValueError, match=r"Nothing.*H\(0, 1\)"):
            influence_plots.plot_influence_map(influence, path, **options)
    influence.degrees[:] = influence.edge_orders[:] = 0
    with pytest.raises(ValueError, match="no features"):
        influence_plots.plot_degree_shares(influence, path)
    assert not path.exists()


def test_repeated_targets_name_the_same_pair():
    atoms = ase.build.graphene(size=(2, 1, 1), vacuum=5)
    atoms.pbc = True
    target = BlockTarget(0, 3, (-1, 1, 0))
    repeat = (3, 4, 1)
    other = target.repeated(atoms, repeat)
    large = atoms.repeat(repeat)

    def vector(atoms, target):
        step = atoms.positions[target.j] - atoms.positions[target.i]
        return step + np.array(target.shift) @ np.asarray(atoms.cell)

    np.testing.assert_allclose(
        vector(large, other), vector(atoms, target), atol=1e-9
    )
    np.testing.assert_allclose(
        large.positions[other.i] - atoms.positions[target.i],
        np.array([1, 1, 0]) @ np.asarray(atoms.cell),
        atol=1e-9,
    )
    assert kh.explain.repeats_for(atoms, 0.1) == (1, 1, 1)
