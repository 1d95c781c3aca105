"""Images that move together in all structures."""

import ase.build
import pytest

from keras_hamiltonian.uncertainty import common_translations
from keras_hamiltonian.uncertainty import missing_translations


def sheet(*size, a=2.46):
    atoms = ase.build.graphene(a=a, size=(*size, 1), vacuum=8)
    atoms.pbc = True
    return atoms


def test_images_of_one_cell_move_together():
    found = common_translations([sheet(3, 3), sheet(3, 3)], 12.7)
    assert found == pytest.approx([7.38])
    assert missing_translations(sheet(5, 5), found) == found
    # Cells of which every image is one of the training's too.
    for size in ((3, 3), (1, 1), (3, 1)):
        assert missing_translations(sheet(*size), found) == []
    # 12.78 Å is the second translation of 3 x 3, and none of 6 x 6.
    assert common_translations([sheet(3, 3)], 13)[1] == pytest.approx(
        12.78, abs=1e-2
    )


def test_mixed_cells_leave_nothing():
    assert common_translations([sheet(3, 3), sheet(2, 4)], 7) == []
    # Strain is no other cell.
    strained = [sheet(3, 3), sheet(3, 3, a=2.49)]
    assert len(common_translations(strained, 12.7)) == 1


def test_molecules_and_vacuum_have_no_images():
    assert common_translations([ase.build.molecule("C60")], 20) == []
    assert min(common_translations([sheet(3, 3)], 17)) > 7
    assert common_translations([], 10) == []
