"""Pictures: what was drawn is found again in their pixels."""

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from keras_hamiltonian import plots
from keras_hamiltonian.physics.bands import BandStructure
from keras_hamiltonian.physics.dos import DensityOfStates
from keras_hamiltonian.physics.k_points import KPath
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import PREDICTED_COLOR
from keras_hamiltonian.plots.style import REFERENCE_COLOR
from keras_hamiltonian.plots.style import TRAINING_COLOR


def pixels(path, color):
    picture = imread(path)[..., :3]
    return int((np.abs(picture - to_rgb(color)).max(axis=-1) < 0.02).sum())


@pytest.fixture
def bands():
    k_points = np.zeros((41, 3))
    k_points[:, 0] = np.linspace(-0.5, 0.5, 41)
    energies = np.cos(2 * np.pi * k_points[:, :1]) * [-2, 2, 30] + [-3, 3, 90]
    path = KPath.from_points(
        k_points, np.eye(3), [(0, "X"), (20, "G"), (40, "X1")]
    )
    return BandStructure(path, energies, 0.0)


def test_bands_in_their_colors(bands, tmp_path):
    other = BandStructure(bands.path, bands.energies + 0.5)
    plots.plot_bands(other, bands, tmp_path / "both.png", title="chain")
    both = [
        pixels(tmp_path / "both.png", c)
        for c in (REFERENCE_COLOR, PREDICTED_COLOR)
    ]
    plots.plot_bands(None, bands, tmp_path / "alone.png", window=(-4, 4))
    assert min(both) > 500
    assert pixels(tmp_path / "alone.png", INK) > 500
    for color in (PREDICTED_COLOR, REFERENCE_COLOR):
        assert pixels(tmp_path / "alone.png", color) == 0


def test_a_jump_of_the_path_is_not_bridged(bands, tmp_path):
    jumping = KPath(
        bands.k_points[[0, 1, 2, 3]],
        np.array([0.0, 1.0, 1.0, 2.0]),
        [(0, "G"), (1, "K"), (2, "A"), (3, "L")],
    )
    flat = np.array([[-5.0], [-5.0], [5.0], [5.0]])
    plots.plot_bands(
        BandStructure(jumping, flat, 0.0), None, tmp_path / "jump.png"
    )
    picture = imread(tmp_path / "jump.png")[..., :3]
    drawn = np.abs(picture - to_rgb(PREDICTED_COLOR)).max(axis=-1) < 0.02
    # Two horizontal lines of a few pixels, nothing between them.
    assert drawn.any(axis=1).sum() < 20


def test_missing_bands_are_no_obstacle(bands, tmp_path):
    bands.energies[3, 2] = np.nan
    plots.plot_bands(bands, bands, tmp_path / "bands.png")
    assert pixels(tmp_path / "bands.png", PREDICTED_COLOR) > 100


def test_bands_need_a_zero(bands, tmp_path):
    bands.fermi_level = None
    with pytest.raises(ValueError, match="fermi_level"):
        plots.plot_bands(bands, None, tmp_path / "bands.png")
    with pytest.raises(ValueError, match="Neither"):
        plots.plot_bands(None, None, tmp_path / "bands.png")


@pytest.mark.parametrize("is_timed", [True, False])
def test_learning_curve(tmp_path, is_timed):
    errors = (0.1 / np.arange(1, 50)).tolist()
    history = {"mae": errors, "val_mae": [1.5 * e for e in errors]}
    if is_timed:
        history["cpu_seconds"] = np.linspace(5, 600, 49).tolist()
    plots.plot_learning_curve(history, tmp_path / "curve.png", title="graphene")
    assert pixels(tmp_path / "curve.png", TRAINING_COLOR) > 300
    assert pixels(tmp_path / "curve.png", PREDICTED_COLOR) > 300


def test_learning_curve_of_a_keras_history(tmp_path):
    plots.plot_learning_curve({"loss": [0.2, 0.1]}, tmp_path / "curve.png")
    assert pixels(tmp_path / "curve.png", TRAINING_COLOR) > 100
    with pytest.raises(ValueError, match=r"\['lr'\]"):
        plots.plot_learning_curve({"lr": [1e-3]}, tmp_path / "curve.png")


def test_a_line_stands_between_two_stages(tmp_path):
    history = {"loss": [0.2] * 20, "cpu_seconds": np.arange(20.0).tolist()}
    counts = []
    for second in ("first", "second"):
        history["stage"] = ["first"] * 8 + [second] * 12
        plots.plot_learning_curve(history, tmp_path / "curve.png")
        counts.append(pixels(tmp_path / "curve.png", INK))
    assert counts[1] > counts[0] + 200


def test_block_errors(tmp_path):
    errors = np.array([[1e-4, 2e-3], [2e-3, np.nan]])
    plots.plot_block_errors(errors, ["s1", "p1"], tmp_path / "blocks.png")
    assert pixels(tmp_path / "blocks.png", "#eceff1") > 1000
    plots.plot_block_errors(
        np.zeros((2, 2)), ["s1", "p1"], tmp_path / "zero.png"
    )
    with pytest.raises(ValueError, match="square"):
        plots.plot_block_errors(errors, ["s1"], tmp_path / "blocks.png")
    with pytest.raises(ValueError, match="No orbital block"):
        plots.plot_block_errors([[np.nan]], ["s1"], tmp_path / "blocks.png")


def test_equivariance(tmp_path):
    curves = {
        name: {n: {"mae_mev": size * n**-0.5} for n in (1, 4, 16)}
        for name, size in (("Transformer", 0.3), ("exact", 1e-4))
    }
    plots.plot_equivariance(curves, tmp_path / "errors.png", title="graphene")
    picture = imread(tmp_path / "errors.png")[..., :3]
    for color in (PREDICTED_COLOR, TRAINING_COLOR):
        near = np.abs(picture - to_rgb(color)).max(axis=-1) < 0.02
        assert near.sum() > 500
        # It falls to the right.
        rows, columns = np.nonzero(near[:, : picture.shape[1] // 2])
        assert np.corrcoef(rows, columns)[0, 1] > 0.5
    with pytest.raises(ValueError, match="at least one number"):
        plots.plot_equivariance({"Transformer": {}}, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize(
    "plot",
    [
        plots.plot_equivariance,
        plots.plot_errors_by_distance,
        plots.plot_errors_by_energy,
        plots.plot_errors_by_structure,
    ],
)
def test_curves_need_points(plot, tmp_path):
    for curves in ({}, {"model": []}):
        with pytest.raises(ValueError, match="one curve or more"):
            plot(curves, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_density_of_states(tmp_path):
    energies = np.linspace(-4, 4, 81)
    density = DensityOfStates(
        energies, np.ones(81), {"C s": np.full(81, 0.5)}, fermi_level=1.0
    )
    plots.plot_dos(density, tmp_path / "dos.png", "graphene")
    assert pixels(tmp_path / "dos.png", INK) > 1000
    # The color of matplotlib's first line.
    assert pixels(tmp_path / "dos.png", "C0") > 500
    before = pixels(tmp_path / "dos.png", "C0")
    # Noise is shaded, and what of it is negative is drawn.
    density.errors = np.full(81, 0.1)
    density.projections["C s"] = np.full(81, -0.3)
    density.projection_errors = {"C s": np.full(81, 0.1)}
    plots.plot_dos(density, tmp_path / "noise.png", "graphene")
    assert pixels(tmp_path / "noise.png", "C0") > before / 2
    mixed = 0.25 * np.array(to_rgb("C0")) + 0.75
    assert pixels(tmp_path / "noise.png", mixed) > 1000
    density.fermi_level = None
    with pytest.raises(ValueError, match="fermi_level"):
        plots.plot_dos(density, tmp_path / "none.png")


def test_no_global_state_is_touched(bands, tmp_path):
    before = dict(matplotlib.rcParams)
    plots.plot_bands(bands, bands, tmp_path / "bands.png")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    "suffix, start", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")]
)
def test_a_picture_is_what_its_name_says(bands, tmp_path, suffix, start):
    found = []
    for name in "ab":
        plots.plot_bands(bands, None, tmp_path / f"{name}.{suffix}")
        found.append((tmp_path / f"{name}.{suffix}").read_bytes())
    assert found[0].startswith(start)
    assert found[0] == found[1]
    with pytest.raises(ValueError, match=r"\.png, \.svg, \.pdf.*bands\.jpg"):
        plots.plot_bands(bands, None, tmp_path / "bands.jpg")
    assert not (tmp_path / "bands.jpg").exists()


def test_elements_off_the_diagonal_are_seen(tmp_path):
    reference = np.linspace(-3, 3, 2000)
    for name, error in (("good", 0.0), ("bad", 1.0)):
        predicted = reference + error * np.sin(50 * reference)
        plots.plot_elements(predicted, reference, tmp_path / f"{name}.png")
    good, bad = (
        (imread(tmp_path / f"{n}.png")[..., :3].std(axis=-1) > 0.05).sum()
        for n in ("good", "bad")
    )
    assert bad > 3 * good > 1000
    plots.plot_elements(predicted + 1j, reference + 0j, tmp_path / "spin.svg")
    with pytest.raises(ValueError, match=r"\(2000,\) and \(0,\)"):
        plots.plot_elements(reference, [], tmp_path / "none.png")
