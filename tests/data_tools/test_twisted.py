"""Twisted bilayers against the analytic angle and number of atoms."""

import ase.build
import ase.io
import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from typer.testing import CliRunner

from data_tools.twisted import commensurate_cells
from data_tools.twisted import find_cells
from data_tools.twisted import twisted_bilayer
from keras_hamiltonian.cli import app

BOND = 2.46 / 3**0.5


def graphene(corner=120):
    atoms = ase.build.graphene(vacuum=5.0)
    if corner == 60:
        cell = atoms.cell.array.copy()
        cell[1] += cell[0]
        atoms.set_cell(cell)
    return atoms


def turned_by(atoms):
    """Degrees between the bonds of the two layers, 0 to 60."""
    directions = []
    for tag in (1, 2):
        layer = atoms[atoms.get_tags() == tag]
        (vectors,) = (neighbor_list("D", layer, BOND + 0.1),)
        angles = np.arctan2(vectors[:, 1], vectors[:, 0])
        directions.append(np.angle(np.exp(6j * angles).mean()) / 6)
    return np.degrees(directions[1] - directions[0]) % 60


@pytest.mark.parametrize("corner", [60, 120])
@pytest.mark.parametrize("m, n", [(1, 2), (3, 4), (2, 7), (9, 10)])
def test_twisted_bilayer_graphene(m, n, corner):
    layer = graphene(corner)
    cells = commensurate_cells(layer, m, n)
    twisted = twisted_bilayer(layer, cells=cells, distance=3.3)
    norm = m**2 + m * n + n**2
    expected = np.degrees(np.arccos((m**2 + 4 * m * n + n**2) / (2 * norm)))
    atoms = twisted.atoms
    assert len(atoms) == 4 * norm
    assert twisted.angle == pytest.approx(expected, abs=1e-9)
    assert turned_by(atoms) == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(twisted.strains, 0, atol=1e-12)
    # Three bonds of each atom, and no pair is shorter.
    first, lengths = neighbor_list("id", atoms, BOND + 0.1)
    assert (np.bincount(first) == 3).all()
    np.testing.assert_allclose(lengths, BOND, atol=1e-9)
    heights = [atoms.positions[atoms.get_tags() == tag, 2] for tag in (1, 2)]
    assert heights[1].min() - heights[0].max() == pytest.approx(3.3)
    assert np.ptp(heights[0]) == pytest.approx(0, abs=1e-9)


def test_an_angle_finds_the_same_cells():
    layer = graphene()
    for m, n in [(1, 2), (2, 3), (5, 6)]:
        known = twisted_bilayer(layer, cells=commensurate_cells(layer, m, n))
        found = twisted_bilayer(layer, angle=known.angle, max_strain=1e-6)
        assert len(found.atoms) == len(known.atoms)
        assert turned_by(found.atoms) == pytest.approx(known.angle, abs=1e-6)
    # Between them nothing fits without strain.
    with pytest.raises(ValueError, match="below 0.00% and at most 500 atoms"):
        find_cells(layer, layer, 17.3, 1e-6, max_atoms=500)


def test_stackings():
    layer = graphene()
    cells = commensurate_cells(layer, 3, 0, top_m=3, top_n=0)
    counts = []
    for shift in [(0, 0), (1 / 3, 2 / 3), (0.5, 0.0)]:
        atoms = twisted_bilayer(layer, cells=cells, shift=shift).atoms
        first = neighbor_list("i", atoms, 3.36)
        tags = atoms.get_tags()
        second = neighbor_list("j", atoms, 3.36)
        above = (tags[first] == 1) & (tags[second] == 2)
        counts.append(int(above.sum()) / 9)
    # AA, AB, saddle point: pairs of atoms one above the other in a cell.
    assert counts == [2, 1, 0]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_strain_of_unequal_lattices(share):
    bottom = graphene()
    top = ase.build.graphene("BN", a=2.504, vacuum=5.0)
    cells = commensurate_cells(bottom, 1, 0, top, 1, 0)
    twisted = twisted_bilayer(bottom, top, cells, max_strain=0.02, share=share)
    ratio = 2.504 / 2.46
    np.testing.assert_allclose(twisted.strains[0], ratio**share - 1)
    np.testing.assert_allclose(twisted.strains[1], ratio ** (share - 1) - 1)
    side = twisted.atoms.cell.lengths()[0]
    assert side == pytest.approx(2.46 * ratio**share)
    with pytest.raises(ValueError, match="more than `max_strain` = 0.50%"):
        twisted_bilayer(bottom, top, cells, max_strain=0.005, share=share)


def test_layers_of_other_shapes():
    """Rectangles on rectangles, and a layer that the border cuts."""
    box = ase.Atoms("C", cell=[3.0, 4.51, 12.0], pbc=True)
    twisted = twisted_bilayer(box, angle=90.0, max_strain=0.002)
    assert twisted.angle == pytest.approx(90, abs=0.05)
    assert sorted(twisted.atoms.cell.lengths()[:2].round(1)) == [9.0, 9.0]
    mos2 = ase.build.mx2("MoS2", vacuum=6.0)
    whole = twisted_bilayer(mos2, angle=0.0)
    mos2.positions[:, 2] -= mos2.positions[0, 2]
    mos2.wrap()
    cut = twisted_bilayer(mos2, angle=0.0)
    distances = [x.atoms.get_all_distances(mic=True) for x in (whole, cut)]
    np.testing.assert_allclose(*map(np.sort, distances), atol=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "either `cells` or `angle`"),
        ({"angle": 5.0, "share": 2}, "`share` is 0 to 1"),
        ({"angle": np.nan}, "`angle` is a number"),
        ({"angle": 5.0, "distance": -3.0}, "`distance` is 0 Å or more"),
        ({"angle": 5.0, "distance": np.nan}, "`distance` is 0 Å or more"),
        ({"cells": [[[1, 0], [0, -1]]] * 2}, "span a positive area"),
        ({"cells": [np.eye(2) * 9] * 2, "max_atoms": 9}, "has 324 atoms"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        twisted_bilayer(graphene(), **options)


def test_wrong_layers():
    layer = graphene()
    oblique = ase.Atoms("C", cell=[3, 4, 9], pbc=True)
    with pytest.raises(ValueError, match="Give an angle instead"):
        commensurate_cells(oblique, 1, 2)
    with pytest.raises(ValueError, match="Received: 0, 0"):
        commensurate_cells(layer, 0, 0)
    left_handed = graphene()
    left_handed.set_cell(left_handed.cell[[1, 0, 2]])
    with pytest.raises(ValueError, match="Exchange the first two"):
        twisted_bilayer(left_handed, angle=0.0)
    with pytest.raises(ValueError, match="third stands on"):
        twisted_bilayer(ase.build.bulk("Si"), angle=0.0)


def test_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("graphene.xyz", graphene())
    words = ["twist", "graphene.xyz", "--cell", "28", "29"]
    done = CliRunner().invoke(app, words)
    assert not done.exception
    assert "9748 atoms, angle 1.1607°" in done.output
    assert "top layer: 0.0000 % and 0.0000 %" in done.output
    assert len(ase.io.read("graphene_twisted.xyz")) == 9748
    assert CliRunner().invoke(app, words[:2]).exit_code == 2


def test_endings_and_strains_are_spoken_of(command, folder):
    ase.io.write("graphene.xyz", graphene())
    words = ("twist", "graphene.xyz", "--cell", 2, 1, "-o")
    refused = command(*words, "t10.foo", code=1).stderr
    assert ".cif, .xyz or .vasp" in refused and "report it" not in refused
    for name in ("a.cif", "a.vasp"):
        said = command(*words, name).stdout
        assert "--max-strain" not in said
        assert len(ase.io.read(name)) == 28
    words = ("twist", "graphene.xyz", "--angle", 1.1, "-o")
    assert "--max-strain 1e-6" in command(*words, "b.xyz").stdout
    said = command(*words, "c.xyz", "--max-strain", 1e-6).stdout
    assert "0.0000 %" in said and "--max-strain" not in said


def test_layers_that_collide_are_refused():
    """Atoms on top of those of the next image, 3.35 Å and 0 Å away."""
    cells = commensurate_cells(graphene(), 2, 1)
    for lengths in ({"vacuum": 0.0}, {"distance": 0.5}):
        with pytest.raises(ValueError, match=r"0\.\d+ Å apart"):
            twisted_bilayer(graphene(), cells=cells, **lengths)
    # As close as in graphite.
    twisted_bilayer(graphene(), cells=cells, vacuum=3.35)
