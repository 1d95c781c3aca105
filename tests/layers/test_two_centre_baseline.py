import keras
import numpy as np
import pytest

from keras_hamiltonian import layers
from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.irreps import edge_frames
from keras_hamiltonian.orbitals.block_layout import BlockLayout

RADII = {"C": 6, "Mo": 7, "S": 7, "Bi": 8}


def run(store, inputs, adapt_to=None):
    reaches = [RADII[s] * BOHR_IN_ANGSTROM for s in store.basis.symbols]
    basis = store.basis.to_dict()
    layer = layers.TwoCentreBaseline(basis, reaches, store.spin)
    layer.build()
    layer.built = True
    if adapt_to is not None:
        layer.adapt(adapt_to)
    inputs = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    lmax = BlockLayout(store.basis, store.spin).lmax
    geometry = layers.EdgeGeometry(lmax)(inputs["edge_vectors"])
    graph = [inputs[k] for k in ("species", "neighbors", "edge_mask")]
    envelope = layers.EdgeEnvelope(reaches)(
        geometry["lengths"], *graph, geometry["wigner"]
    )
    found = layer(envelope["relative"], *graph, geometry["wigner"])
    return keras.tree.map_structure(keras.ops.convert_to_numpy, found)


@pytest.mark.parametrize("name", ["graphene", "mos2", "bismuthene"])
def test_fit_explains_most_of_the_hamiltonian(data_folder, name):
    store = HamiltonianStore(data_folder / f"{name}.h5")
    dataset = HamiltonianDataset(store, store.names[:2])
    inputs, targets, _ = HamiltonianDataset(store, store.names[2:3])[0]
    found = run(store, inputs, dataset)
    layout = BlockLayout(store.basis, store.spin)
    real = inputs["edge_mask"] > 0
    frames = edge_frames(inputs["edge_vectors"][real])
    hopping = layout.split(targets["hopping"][real])
    atoms = inputs["species"] >= 0
    onsite = layout.split(targets["onsite"][atoms])
    left = total = 0
    for part in layout.parts:
        channels = layout.edge_channels(part, hopping[part], frames)
        total += sum((x**2).sum() for x in channels.values())
        channels["0+"] = (
            channels["0+"] - found["hopping_mean"][part][real][:, None]
        )
        left += sum((x**2).sum() for x in channels.values())
        irreps = layout.onsite[part].to_irreps(onsite[part])
        error = irreps - found["onsite_mean"][part][atoms]
        assert (error**2).sum() < 0.02 * (irreps**2).sum()
    assert left < 0.1 * total
    # Padding has neither mean nor scale.
    for part in layout.parts:
        assert not found["hopping_mean"][part][~real].any()
        assert not found["hopping_scale"][part][~real].any()


def test_before_adapting_means_are_zero_and_scales_one(data_folder):
    store = HamiltonianStore(data_folder / "reference_graphene.h5")
    inputs = HamiltonianDataset(store)[0][0]
    found = run(store, inputs)
    assert not found["hopping_mean"]["scalar"].any()
    assert not found["onsite_mean"]["scalar"].any()
    assert (found["onsite_scale"]["scalar"] == 1).all()
    lengths = np.linalg.norm(inputs["edge_vectors"], axis=-1)
    near = (lengths < 5.5) & (inputs["edge_mask"] > 0)
    np.testing.assert_allclose(
        found["hopping_scale"]["scalar"][near], 1, atol=1e-5
    )
