"""Named lattices have the lengths and angles that their names promise."""

import ase.geometry
import numpy as np
import pytest

from data_tools.abacus_input import read_stru
from data_tools.abacus_lattices import lattice_by_name

# Parameters; lengths and cosines (bc, ac, ab) of the rows, volume.
R = np.sqrt
CASES = {
    "sc": ([], (1, 1, 1), (0, 0, 0), 1),
    "fcc": ([], (R(0.5),) * 3, (0.5, 0.5, 0.5), 1 / 4),
    "bcc": ([], (R(0.75),) * 3, (1 / 3, -1 / 3, 1 / 3), 1 / 2),
    "hexagonal": ([2.0], (1, 1, 2), (0, 0, -0.5), R(3)),
    "trigonal": ([0.3], (1, 1, 1), (0.3, 0.3, 0.3), None),
    "st": ([1.5], (1, 1, 1.5), (0, 0, 0), 1.5),
    "bct": ([1.5], (R(0.5 + 0.75**2),) * 3, None, 1.5 / 2),
    "so": ([1.2, 1.5], (1, 1.2, 1.5), (0, 0, 0), 1.8),
    "baco": ([1.2, 1.5], (R(0.61), R(0.61), 1.5), None, 1.8 / 2),
    "fco": ([1.2, 1.5], None, None, 1.8 / 4),
    "bco": ([1.2, 1.5], (R(0.25 + 0.36 + 0.5625),) * 3, None, 1.8 / 2),
    "sm": ([1.2, 1.5, 0.2], (1, 1.2, 1.5), (0, 0, 0.2), None),
    "bacm": ([1.2, 1.5, 0.2], None, None, 0.9 * R(1 - 0.04)),
    "triclinic": (
        [1.2, 1.5, 0.2, 0.1, 0.3], (1, 1.2, 1.5), (0.3, 0.1, 0.2), None
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_named_lattice(name):
    parameters, lengths, cosines, volume = CASES[name]
    rows = lattice_by_name(name, parameters)
    found = ase.geometry.cell_to_cellpar(rows)
    if lengths is not None:
        np.testing.assert_allclose(found[:3], lengths, atol=1e-12)
    if cosines is not None:
        np.testing.assert_allclose(
            np.cos(np.radians(found[3:])), cosines, atol=1e-12
        )
    if volume is not None:
        assert abs(np.linalg.det(rows)) == pytest.approx(volume)


@pytest.mark.parametrize(
    "name, parameters, message",
    [("odd", [], "known are sc, fcc"), ("st", [], "has 1 LATTICE_PARAMETERS")],
)
def test_unknown_lattices(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        lattice_by_name(name, parameters)


STRU = """ATOMIC_SPECIES
B 10.8 B.upf
NUMERICAL_ORBITAL
B_gga_7au_100Ry_2s2p1d.orb
LATTICE_CONSTANT
4.7
LATTICE_PARAMETERS
2.0
ATOMIC_POSITIONS
Cartesian_angstrom_center_xy
B
0.0
1
0.0 0.0 0.5 1 1 1
"""


def test_stru_with_a_named_lattice(tmp_path):
    (tmp_path / "STRU").write_text(STRU)
    with pytest.raises(ValueError, match="INPUT beside it has latname"):
        read_stru(tmp_path / "STRU")
    (tmp_path / "INPUT").write_text("INPUT_PARAMETERS\nlatname hexagonal\n")
    atoms, _ = read_stru(tmp_path / "STRU")
    a, c = atoms.cell.lengths()[[0, 2]]
    assert c / a == pytest.approx(2) and a == pytest.approx(4.7 * 0.529177)
    # In the plane from the middle of the cell, not along z.
    np.testing.assert_allclose(
        atoms.positions[0], [a / 4, a * R(3) / 4, 0.5], atol=1e-6
    )


def test_two_orbital_files_of_one_element(tmp_path):
    text = STRU.replace(
        "B 10.8 B.upf\n", "B 10.8 B.upf\nB2 10.8 B.upf\n"
    ).replace("1d.orb\n", "1d.orb\nB_gga_9au_100Ry_2s2p1d.orb\n")
    (tmp_path / "STRU").write_text(text)
    (tmp_path / "INPUT").write_text("latname hexagonal\n")
    with pytest.raises(ValueError, match="two kinds of orbitals"):
        read_stru(tmp_path / "STRU")
