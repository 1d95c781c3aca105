"""Pictures of attention, corrections, environments: what they show is so."""

import ase.build
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.explain.attention import AttentionMaps
from keras_hamiltonian.explain.corrections import Corrections
from keras_hamiltonian.explain.environments import EnvironmentMap
from keras_hamiltonian.plots.attention import plot_attention_by_angle
from keras_hamiltonian.plots.attention import plot_attention_by_distance
from keras_hamiltonian.plots.attention import plot_attention_map
from keras_hamiltonian.plots.corrections import plot_corrections
from keras_hamiltonian.plots.environments import plot_environment_map
from keras_hamiltonian.plots.environments import plot_novelty
from keras_hamiltonian.plots.style import PREDICTED_COLOR
from keras_hamiltonian.plots.style import TRAINING_COLOR

PNG = b"\x89PNG"


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draws into a file and returns the figure."""
    seen = []
    write = Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda self, *a, **k: (seen.append(self), write(self, *a, **k))[1],
    )

    def draw(plot, *arguments, **options):
        path = tmp_path / "picture.png"
        plot(*arguments, path, **options)
        assert path.read_bytes().startswith(PNG)
        return seen[-1]

    return draw


# === Attention ===


@pytest.fixture
def maps():
    """Head 1 attends to the nearest atom only, head 2 to all equally."""
    atoms = ase.build.graphene(vacuum=5.0) * (2, 2, 1)
    atoms.symbols[0] = "N"
    atoms.rattle(0.03, seed=0)
    atoms.pbc = True
    pairs = kh.structures.pairs_within(atoms, {"C": 1.6, "N": 1.6})
    table = kh.structures.neighbor_table(atoms, pairs)
    weights = np.zeros((3, 2, *table.neighbors.shape))
    weights[:, 0, :, 0] = 1
    weights[:, 1] = table.edge_mask
    return AttentionMaps(
        atoms,
        ["first", "second", "third"],
        weights,
        table.edge_mask.astype(float),
        table.neighbors,
        table.edge_vectors,
        table.edge_mask,
    )


def panels(figure):
    return [axes for axes in figure.axes if "head" in axes.get_title("left")]


def test_the_thickest_line_has_the_largest_weight(maps, drawn):
    figure = drawn(plot_attention_map, maps, atom=3)
    one, all_alike, *others = panels(figure)
    assert one.get_title("left") == "first, head 1"
    assert [axes.get_title("left") for axes in others] == [
        "third, head 1",
        "third, head 2",
    ]
    lines = sorted(one.lines, key=lambda line: -line.get_linewidth())
    assert len(lines) == maps.edge_mask[3].sum()
    assert lines[0].get_linewidth() > 5 * lines[1].get_linewidth()
    # A flat layer is seen from above: lengths are true.
    for line, length in zip(lines, maps.lengths[3, :1]):
        x, y = line.get_data()
        assert np.hypot(x[1], y[1]) == pytest.approx(length, abs=0.02)
    widths = [line.get_linewidth() for line in all_alike.lines]
    assert np.ptp(widths) < 1e-6
    with pytest.raises(ValueError, match="atoms 0 to 7.*atom=8"):
        drawn(plot_attention_map, maps, atom=8)
    with pytest.raises(ValueError, match="first, second, third"):
        drawn(plot_attention_map, maps, blocks=["fourth"])


def test_dots_stand_at_lengths_and_shares(maps, drawn):
    figure = drawn(plot_attention_by_distance, maps, blocks=["second"])
    one, all_alike = panels(figure)
    assert "1.0 neighbors" in one.get_title("left")
    names = [line.get_label() for line in one.lines]
    # Two nitrogen atoms are too far from each other.
    assert names == ["C to C", "C to N", "N to C"]
    x, y = np.concatenate([line.get_data() for line in all_alike.lines], 1)
    mask = maps.edge_mask
    np.testing.assert_allclose(np.sort(x), np.sort(maps.lengths[mask]))
    share = 100 * mask / mask.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.sort(y), np.sort(share[mask]))
    x, y = np.concatenate([line.get_data() for line in one.lines], 1)
    np.testing.assert_allclose(
        np.sort(x[y > 99]), np.sort(maps.lengths.min(axis=1))
    )
    assert (y[y < 99] == 0.001).all()


def test_a_uniform_head_is_a_level_line(maps, drawn):
    figure = drawn(plot_attention_by_angle, maps)
    lines = [axes.lines[-1].get_data() for axes in panels(figure)]
    known = np.isfinite(lines[1][1])
    assert known.sum() >= 3
    np.testing.assert_allclose(lines[1][1][known], 1)
    dots = np.concatenate(
        [c.get_offsets() for c in panels(figure)[1].collections]
    )
    np.testing.assert_allclose(
        np.sort(dots[:, 0]), np.sort(maps.angles[maps.edge_mask]), atol=1e-9
    )
    np.testing.assert_allclose(dots[:, 1], 1)


# === Corrections ===


def group(before, after):
    return {
        "count": 2,
        "correction": 0.003,
        "baseline_mae": before,
        "refined_mae": after,
        "improved": 0.5,
    }


def test_help_is_blue_and_harm_is_red(drawn):
    helped, hurt = group(0.004, 0.002), group(0.001, 0.005)
    result = {
        "all": helped,
        "block_types": {"hopping s-p": hurt, "onsite s-s": helped},
        "element_pairs": {"C-C": helped},
        "distance_bins": [{"from": 1.0, "to": 1.5, **hurt}],
        "structures": {"good": helped, "bad": hurt},
        "harmed": [],
    }
    figure = drawn(plot_corrections, Corrections(result))
    axes = {
        a.get_title("left"): a for part in figure.subfigs for a in part.axes
    }
    types = axes["by block type"]
    names = [text.get_text() for text in types.get_yticklabels()]
    assert names == ["onsite s-s", "hopping s-p"]
    diamonds, *marks = types.lines
    np.testing.assert_allclose(diamonds.get_xdata(), 3)
    for k, (ends, color) in enumerate(
        [((4, 2), TRAINING_COLOR), ((1, 5), PREDICTED_COLOR)]
    ):
        line, before, after = marks[3 * k : 3 * k + 3]
        np.testing.assert_allclose(line.get_xdata(), ends)
        assert line.get_color() == color
        assert before.get_xdata() == [ends[0]] and after.get_xdata() == [
            ends[1]
        ]
        assert before.get_markerfacecolor() == "white"
        assert after.get_markerfacecolor() == color
    worst = axes["structures, helped least"].get_yticklabels()[0]
    assert worst.get_text() == "bad"


# === Environments ===


@pytest.fixture(scope="module")
def store(data_folder):
    return kh.HamiltonianStore(data_folder / "reference_graphene.h5")


@pytest.fixture(scope="module")
def environments(store):
    crystals = [store[0].atoms * (2, 1, 1) for _ in range(3)]
    for seed, atoms in enumerate(crystals):
        atoms.rattle(0.05, seed=seed)
    return EnvironmentMap(small_stage(store), crystals)


def test_the_worst_atom_has_its_name_and_the_darkest_colour(
    environments, store, drawn
):
    placed = environments.place([store[0]])
    placed.points = np.array([[0.0, 0.0], [5.0, 5.0]])
    placed.errors = np.array([0.001, 0.004])
    figure = drawn(plot_environment_map, environments, placed, num_named=1)
    axes, bar = figure.axes
    known = axes.lines[0].get_data()
    np.testing.assert_allclose(np.transpose(known), environments.known("C"))
    dots = axes.collections[0]
    np.testing.assert_allclose(dots.get_offsets(), placed.points)
    lightness = dots.get_facecolors()[:, :3].sum(axis=1)
    assert lightness[1] < lightness[0]
    (name,) = [t for t in axes.texts if t.get_text()]
    assert name.get_text() == f"C1 of {store[0].name}"
    assert tuple(name.xy) == (5.0, 5.0)
    np.testing.assert_allclose(bar.get_ylim(), (1, 4))
    bare = environments.place([store[0].atoms])
    axes = drawn(plot_environment_map, environments, bare).axes[0]
    np.testing.assert_allclose(
        np.transpose(axes.lines[1].get_data()), bare.points
    )


def test_error_against_novelty(environments, store, drawn):
    placed = environments.place([store[0]])
    placed.novelty = np.array([0.5, 3.0])
    placed.errors = np.array([0.001, 0.004])
    figure = drawn(plot_novelty, {"test": placed})
    x, y = figure.axes[0].lines[0].get_data()
    np.testing.assert_allclose(x, [0.5, 3.0])
    np.testing.assert_allclose(y, [1, 4])
    (text,) = figure.legends[0].get_texts()
    assert text.get_text() == "test (rank correlation 1.00)"
    color = figure.axes[0].lines[0].get_color()
    assert to_rgba(color) == to_rgba(PREDICTED_COLOR)
    bare = environments.place([store[0].atoms])
    with pytest.raises(ValueError, match="1, with .0. known"):
        drawn(plot_novelty, {"test": bare})
