import dataclasses

import numpy as np
import pytest

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.irreps import edge_frames
from keras_hamiltonian.orbitals.block_layout import BlockLayout
from keras_hamiltonian.orbitals.splines import spline_values
from keras_hamiltonian.orbitals.two_centre_fit import TwoCentreFit

NUM_SPLINES = 32
RADII = {"C": 6, "Mo": 7, "S": 7, "Bi": 8}


def fit_of(store, calculations):
    layout = BlockLayout(store.basis, store.spin)
    reaches = [RADII[s] * BOHR_IN_ANGSTROM for s in store.basis.symbols]
    fit = TwoCentreFit(layout, reaches, NUM_SPLINES)
    return layout, fit.run(HamiltonianDataset(calculations, basis=store.basis))


def edges_of(store, calculation):
    """Pair index, distance over reach and blocks of every edge."""
    inputs, targets, _ = HamiltonianDataset([calculation])[0]
    real = inputs["edge_mask"] > 0
    species = inputs["species"]
    first = np.broadcast_to(species[:, None], real.shape)[real]
    second = species[inputs["neighbors"]][real]
    reach = np.array([RADII[s] * BOHR_IN_ANGSTROM for s in store.basis.symbols])
    vectors = inputs["edge_vectors"][real].astype(float)
    relative = np.linalg.norm(vectors, axis=1) / (reach[first] + reach[second])
    pairs = first * len(reach) + second
    return vectors, pairs, relative, targets["hopping"][real]


@pytest.mark.parametrize("name", ["graphene", "mos2"])
def test_overlap_is_fitted_and_predicted(data_folder, name):
    """S is exactly two-centre, so the fit must find all of it."""
    store = HamiltonianStore(data_folder / f"{name}.h5")
    with_overlap = [c for c in store if c.overlap is not None][:3]
    as_if = [
        dataclasses.replace(c, hamiltonian=c.overlap) for c in with_overlap
    ]
    layout, found = fit_of(store, as_if[:2])
    # A structure that the fit has not seen.
    vectors, pairs, relative, blocks = edges_of(store, as_if[2])
    splines = spline_values(relative, NUM_SPLINES)
    predicted = np.einsum(
        "es,sec->ec", splines, found["means"]["scalar"][:, pairs]
    )
    channels = layout.edge_channels("scalar", blocks, edge_frames(vectors))
    error = np.abs(channels["0+"][:, 0] - predicted)
    assert error.mean() < 2e-6 and error.max() < 1e-3
    # What is left is small, and zero but for rounding where S has nothing.
    scales = found["scales"]["scalar"]
    assert np.median(scales) <= 2e-5


@pytest.fixture(scope="module")
def graphene(data_folder):
    store = HamiltonianStore(data_folder / "graphene.h5")
    calculations = [store[k] for k in range(3)]
    return store, calculations, *fit_of(store, calculations)


def test_functions_vanish_smoothly_at_the_reach(graphene):
    means = graphene[3]["means"]["scalar"][:, 0]
    step = 1e-3
    relative = 1 + step * np.arange(-4, 3)
    values = spline_values(relative, NUM_SPLINES) @ means
    size = np.abs(means).max()
    assert not values[4:].any()
    # Third order: two derivatives are continuous.
    distance = 1 - relative[:4]
    bound = size * (distance * (NUM_SPLINES + 1)) ** 3
    assert (np.abs(values[:4]) <= bound[:, None]).all()
    assert np.abs(np.diff(values, axis=0)).max() < 1e-2 * size


def test_a_pair_and_its_reverse_have_the_same_functions(graphene):
    """Hermiticity: (p, q) and (q, p) agree up to (-1)^(l1+l2)."""
    _, _, layout, found = graphene
    hopping = layout.hopping["scalar"]
    means = found["means"]["scalar"][:, 0]
    for slab in hopping.slabs:
        if slab.m1 != slab.m2:
            continue
        start = slab.starts[slab.kinds.index("0+")]
        shells = hopping.shells_of[slab.m1]
        square = means[:, start : start + len(shells) ** 2].reshape(
            -1, len(shells), len(shells)
        )
        signs = np.array([(-1) ** hopping.shells[p] for p in shells])
        np.testing.assert_allclose(
            square.swapaxes(1, 2),
            square * np.multiply.outer(signs, signs),
            atol=1e-3,
        )


def test_scales_make_every_channel_of_unit_size(graphene):
    _, calculations, layout, found = graphene
    sums = 0
    for calculation in calculations:
        vectors, _, relative, blocks = edges_of(graphene[0], calculation)
        # At the reach itself only the rounding of the file is left.
        inside = relative < 0.9
        vectors, blocks = vectors[inside], blocks[inside]
        splines = spline_values(relative[inside], NUM_SPLINES)
        channels = layout.edge_channels("scalar", blocks, edge_frames(vectors))
        mean = splines @ found["means"]["scalar"][:, 0]
        channels["0+"] = channels["0+"] - mean[:, None]
        scale = splines @ found["scales"]["scalar"][:, 0]
        whole = np.concatenate(
            [(x**2).mean(1) for x in channels.values()], axis=1
        )
        sums = sums + (whole / scale**2).mean(0) / len(calculations)
    # Channels whose spread is below the floor of 1e-5 eV stay smaller.
    assert 0.7 < np.median(sums) < 1.3
    assert sums.max() < 2


def test_onsite_constants_and_functions_explain_most(graphene):
    store, calculations, layout, found = graphene
    coupling = layout.onsite["scalar"]
    _, targets, _ = HamiltonianDataset(calculations, batch_size=3)[0]
    irreps = coupling.to_irreps(targets["onsite"])
    scalars = irreps[:, : coupling.irreps.count("0e")]
    constants = found["onsite_means"]["scalar"][0, : scalars.shape[1]]
    scales = found["onsite_scales"]["scalar"][0]
    assert np.isfinite(constants).all()
    # What is left is far below what there is.
    assert scales.max() < 0.1 * np.abs(scalars).max()
    # No constant for what has a direction.
    rest = found["onsite_means"]["scalar"][0, scalars.shape[1] :]
    assert not rest.any()


def test_spin_orbit_parts(data_folder):
    store = HamiltonianStore(data_folder / "bismuthene.h5")
    layout, found = fit_of(store, [store[0], store[1]])
    for name, parts in found.items():
        assert set(parts) == {"scalar", "vector"}
        assert all(np.isfinite(x).all() for x in parts.values()), name
    sizes = {k: np.abs(x).max() for k, x in found["means"].items()}
    # Spin-orbit coupling is there, and weaker than the rest.
    assert 1e-3 < sizes["vector"] < 0.5 * sizes["scalar"]


def test_a_edge_beyond_the_reach_is_named(data_folder):
    store = HamiltonianStore(data_folder / "reference_graphene.h5")
    fit = TwoCentreFit(BlockLayout(store.basis), [2.0], NUM_SPLINES)
    with pytest.raises(ValueError, match="longer than .*4.0000 Å.*reaches"):
        fit.run(HamiltonianDataset(store))
