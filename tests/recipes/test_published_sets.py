"""Structures are told by elements, layers and size."""

import ase.build
import pytest
from presets import PRESETS
from published_sets import count_layers
from published_sets import describe
from published_sets import find_sets
from published_sets import is_of

import keras_hamiltonian as kh
from data_tools.deeph import write_chunked
from data_tools.deeph import write_legacy


@pytest.mark.parametrize("shift", [0.0, 5.9])
def test_layers_across_the_border_of_the_cell(shift):
    layer = ase.build.graphene(vacuum=6.0)
    layer.positions[:, 2] += shift
    layer.wrap(pbc=True)
    assert count_layers(layer) == 1
    upper = layer.copy()
    upper.positions[:, 2] += 3.35
    both = layer + upper
    both.wrap(pbc=True)
    assert count_layers(both) == 2


@pytest.mark.parametrize("code", PRESETS)
def test_materials_of_the_small_sets(code, data_folder):
    store = kh.HamiltonianStore(data_folder / f"{PRESETS[code].name}.h5")
    for name in store.names[:3]:
        atoms = store.atoms(name)
        assert [c for c, p in PRESETS.items() if is_of(p, atoms)] == [code]


def test_folders_at_any_depth(data_folder, tmp_path):
    store = kh.HamiltonianStore(data_folder / "bismuthene.h5")
    write_legacy(tmp_path / "Bismuth_dataset" / "1" / "000", store["000"])
    write_chunked(tmp_path / "dft" / "001", store["001"])
    small = kh.HamiltonianStore(data_folder / "reference_bismuthene.h5")[0]
    write_legacy(tmp_path / "Bismuth_twisted" / "a", small)
    other = kh.HamiltonianStore(data_folder / "reference_mos2.h5")[0]
    write_legacy(tmp_path / "b", other)
    sets, others = find_sets(tmp_path, [PRESETS["BB"], PRESETS["BT"]])
    assert list(sets) == ["BB"]
    found = sets["BB"]
    assert [source.name for source in found.sources] == ["000", "001"]
    assert [f.name for f in found.twisted] == ["a"]
    assert found.num_atoms == 4
    assert [f.name for f in others] == ["b"]
    bismuthene, bi2te3, none = describe(
        sets, others, [PRESETS["BB"], PRESETS["BT"]]
    ).splitlines()
    assert "2 structures of 4 atoms, 1 larger (published" in bismuthene
    assert bismuthene.endswith(f"in {tmp_path}")
    assert "none found; Zenodo records" in bi2te3
    assert none == f"of none of the materials: 1, {tmp_path / 'b'}"
    with pytest.raises(ValueError, match="does not exist"):
        find_sets(tmp_path / "c", PRESETS.values())
