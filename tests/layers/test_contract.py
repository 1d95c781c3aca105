"""Every layer: configuration, shapes, saving, a training step."""

import keras
import numpy as np
import product_cases
import pytest
import roll_cases
import transformer_cases

from keras_hamiltonian import layers
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps.edge import edge_channels
from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.orbitals.block_layout import BlockLayout
from keras_hamiltonian.testing import check_layer

SMALL = "4x0e + 3x1o + 2x2e"
MIXED = "4x0e + 1x0o + 2x1e + 3x1o + 2x2e"
BASIS = {"C": "1s 1p", "N": "2s 1p"}
REACHES = [1.6, 1.9]
N, M = 5, 4


@pytest.fixture
def random():
    return np.random.default_rng(0)


def edges_of(random, channels, factor=1):
    return {
        kind: random.normal(size=(N, M, edge_dim(kind), factor * num))
        for kind, num in channels.items()
    }


def graph(random):
    """Indices and lengths; the reverse of each edge is the edge itself."""
    return {
        "species": np.array([0, 1, 0, 1, 0], "int32"),
        "neighbors": random.integers(0, N, (N, M)).astype("int32"),
        "reverse_edge": np.arange(N * M, dtype="int32").reshape(N, M),
        "edge_mask": np.ones((N, M)),
        "lengths": random.uniform(1, 3, (N, M)),
        "relative": random.uniform(0.2, 0.9, (N, M)),
    }


def wigner_of(random, first, last):
    return [
        random.normal(size=(N, M, 2 * l + 1, 2 * l + 1))
        for l in range(first, last + 1)
    ]


def pick(random, *names):
    found = graph(random)
    return {name: found[name] for name in names}


def structures():
    return {"structure": np.array([0, 0, 0, 1, 1], "int32")}


def atom_graph_norm(random):
    return {"irreps": MIXED, "epsilon": 1e-4}, {
        "features": random.normal(size=(N, Irreps(MIXED).dim)),
        **structures(),
    }


def atom_update(random, before="4x0e", after=MIXED):
    arguments = {
        "irreps_in": before,
        "irreps_messages": after,
        "irreps_out": after,
        "num_species": 2,
    }
    return arguments, {
        "atoms": random.normal(size=(N, Irreps(before).dim)),
        "messages": random.normal(size=(N, Irreps(after).dim)),
        **pick(random, "species"),
    }


def edge_embedding(random):
    arguments = {"num_features": 6, "channels": 3}
    return arguments, {"radial": random.normal(size=(N, M, 6))}


def edge_ends(random):
    return {"irreps": MIXED}, {
        "atoms": random.normal(size=(N, Irreps(MIXED).dim)),
        "wigner": wigner_of(random, 1, 2),
        **pick(random, "reverse_edge"),
    }


def edge_envelope(random):
    arguments = {"reaches": REACHES, "num_neighbors": 7.0}
    names = ("lengths", "species", "neighbors", "edge_mask")
    inputs = pick(random, *names)
    return arguments, {**inputs, "wigner": wigner_of(random, 1, 2)}


def edge_geometry(random):
    return {"lmax": 3}, {"edge_vectors": random.normal(size=(N, M, 3))}


def edge_graph_norm(random):
    inputs = edges_of(random, edge_channels(MIXED))
    return {"epsilon": 1e-4}, {
        "edges": inputs,
        **structures(),
        **pick(random, "edge_mask"),
    }


def edge_norm(random):
    inputs = edges_of(random, edge_channels(MIXED))
    return {"epsilon": 1e-4}, {"edges": inputs}


def edge_update(random, before="4x0e"):
    return {"irreps_edges": before, "irreps_out": MIXED}, {
        "edges": edges_of(random, edge_channels(before)),
        "messages": edges_of(random, edge_channels(MIXED)),
    }


def convolution(random, out=MIXED):
    arguments = {
        "irreps_in": [SMALL, "4x0e"],
        "irreps_out": out,
        "radial_size": 6,
    }
    inputs = [edges_of(random, edge_channels(i)) for i in (SMALL, "4x0e")]
    radial = random.normal(size=(N, M, 6))
    return arguments, {"inputs": inputs, "radial": radial}


def linear(random, num_species=None, use_bias=True):
    arguments = {
        "irreps_in": "2x1o + 1x0e + 2x1o",  # unsorted, repeated
        "irreps_out": "3x1o + 2x0e",
        "num_species": num_species,
        "use_bias": use_bias,
    }
    inputs = {"features": random.normal(size=(N, 13))}
    if num_species:
        inputs.update(pick(random, "species"))
    return arguments, inputs


def norm(random):
    arguments = {"irreps": MIXED, "epsilon": 1e-4}
    return arguments, {"features": random.normal(size=(N, Irreps(MIXED).dim))}


def projector_sum(random, spin="none"):
    irreps = Irreps(MIXED)
    arguments = {
        "basis": BASIS,
        "channels_in": edge_channels(irreps),
        "projectors": "1s 1p",
        "spin": spin,
        "radial_size": 6,
        "gain": 1.0,
    }
    missing = N * (M + 1)
    inputs = {
        "edges": edges_of(random, edge_channels(irreps)),
        "radial": random.normal(size=(N, M, 6)),
        **pick(random, "relative", "edge_mask", "species"),
        "wigner": wigner_of(random, 1, 2),
        "common_neighbors": random.integers(
            0, missing + 1, (N, M + 1, M + 1)
        ).astype("int32"),
    }
    return arguments, inputs


def hermitian_average(random, spin="none"):
    inner = (3, 3) if spin == "none" else (2, 2, 2, 3, 3)
    return {"spin": spin}, {
        "onsite": random.normal(size=(N, *inner)),
        "hopping": random.normal(size=(N, M, *inner)),
        **pick(random, "reverse_edge"),
    }


def readout_irreps(spin):
    """Irreps with all that the blocks need."""
    layout = BlockLayout(BASIS, spin)
    names = {
        str(irrep) for c in layout.onsite.values() for _, irrep in c.irreps
    }
    return "+".join(f"2x{name}" for name in sorted(names))


def hopping_readout(random, spin="none"):
    irreps = readout_irreps(spin)
    layout = BlockLayout(BASIS, spin)
    mean, scale = {}, {}
    for part, hopping in layout.hopping.items():
        total = sum(hopping.channels.values())
        mean[part] = random.normal(size=(N, M, hopping.channels["0+"]))
        scale[part] = random.normal(size=(N, M, total))
    arguments = {"basis": BASIS, "irreps_edges": irreps, "spin": spin}
    return arguments, {
        "edges": edges_of(random, edge_channels(irreps)),
        "mean": mean,
        "scale": scale,
        "wigner": wigner_of(random, 1, layout.lmax),
    }


def onsite_readout(random, spin="none"):
    irreps = readout_irreps(spin)
    arguments = {"basis": BASIS, "irreps_atoms": irreps, "spin": spin}
    layer = layers.OnsiteReadout(**arguments)
    couplings = layer.layout.onsite.items()
    mean, scale = (
        {
            part: random.normal(size=(N, coupling.irreps.dim))
            for part, coupling in couplings
        }
        for _ in range(2)
    )
    atoms = random.normal(size=(N, layer.irreps_in.dim))
    inputs = {"atoms": atoms, **pick(random, "species")}
    return arguments, {**inputs, "mean": mean, "scale": scale}


def message_sum(random):
    return {"irreps": MIXED}, {
        "messages": edges_of(random, edge_channels(MIXED)),
        "weighted_wigner": [np.ones((N, M, 1, 1)), *wigner_of(random, 1, 2)],
    }


def interaction_group(random, norm="local"):
    arguments = {
        "irreps_atoms": SMALL,
        "irreps_edges": SMALL,
        # No 0o: one step does not make it from natural parity alone.
        "irreps_out": "4x0e + 2x1e + 3x1o + 2x2e",
        "num_species": 2,
        "radial_size": 6,
        "norm": norm,
    }
    channels = edge_channels(SMALL)
    names = ("species", "reverse_edge")
    whole = {}
    if norm == "graph":
        names, whole = (*names, "edge_mask"), structures()
    wigner = wigner_of(random, 1, 2)
    return arguments, {
        "atoms": random.normal(size=(N, Irreps(SMALL).dim)),
        "edges": edges_of(random, channels),
        "neighbor": edges_of(random, channels),
        "geometry": {
            "wigner": wigner,
            "weighted_wigner": [np.ones((N, M, 1, 1)), *wigner],
            "radial": random.normal(size=(N, M, 6)),
            **pick(random, *names),
            **whole,
        },
    }


def radial_features(random, num_species=2):
    arguments = {
        "num_gaussians": 8,
        "cutoff": 4.0,
        "num_species": num_species,
        "units": [6, 5],
        "embedding_size": 3,
    }
    inputs = pick(random, "lengths", "species", "neighbors")
    if num_species == 1:
        inputs["species"] = np.zeros(N, "int32")
    return arguments, inputs


def so2_linear(random, use_bias=True):
    arguments = {
        "channels_in": [{"0+": 3, "1": 2}, {"0+": 2, "0-": 1}],
        "channels_out": {"0+": 4, "0-": 2, "1": 3, "2": 5},
        "use_bias": use_bias,
        "gain": 0.5,
    }
    inputs = [edges_of(random, c) for c in arguments["channels_in"]]
    return arguments, {"inputs": inputs}


def species_embedding(random):
    arguments = {"num_species": 2, "channels": 3}
    return arguments, pick(random, "species")


def two_centre_baseline(random, spin="none"):
    arguments = {
        "basis": BASIS,
        "reaches": REACHES,
        "spin": spin,
        "num_splines": 6,
        "two_centre": spin == "none",
        "channel_scales": spin == "none",
    }
    names = ("relative", "species", "neighbors", "edge_mask")
    return arguments, {
        **pick(random, *names),
        "wigner": wigner_of(random, 1, 3),
    }


CASES = {
    "AtomGraphNorm": [atom_graph_norm],
    "AtomUpdate": [atom_update, lambda r: atom_update(r, MIXED)],
    "EdgeEmbedding": [edge_embedding],
    "EdgeEnds": [edge_ends],
    "EdgeEnvelope": [edge_envelope],
    "EdgeGeometry": [edge_geometry],
    "EdgeGraphNorm": [edge_graph_norm],
    "EdgeNorm": [edge_norm],
    "EdgeUpdate": [edge_update, lambda r: edge_update(r, MIXED)],
    "EquivariantConvolution": [
        convolution,
        lambda r: convolution(r, "4x0e"),  # no gates
        lambda r: convolution(r, "2x1o"),  # no scalars
    ],
    "EquivariantLinear": [
        linear,
        lambda r: linear(r, use_bias=False),
        lambda r: linear(r, num_species=2),
    ],
    "EquivariantNorm": [norm],
    "HermitianAverage": [
        hermitian_average,
        lambda r: hermitian_average(r, "noncollinear"),
    ],
    "HoppingReadout": [
        hopping_readout,
        lambda r: hopping_readout(r, "noncollinear"),
    ],
    "InteractionGroup": [
        interaction_group,
        lambda r: interaction_group(r, "graph"),
    ],
    "MessageSum": [message_sum],
    "ProjectorSum": [
        projector_sum,
        lambda r: projector_sum(r, "noncollinear"),
    ],
    "OnsiteReadout": [
        onsite_readout,
        lambda r: onsite_readout(r, "noncollinear"),
    ],
    "RadialFeatures": [radial_features, lambda r: radial_features(r, 1)],
    "SO2Linear": [so2_linear, lambda r: so2_linear(r, use_bias=False)],
    "SpeciesEmbedding": [species_embedding],
    "TwoCentreBaseline": [
        two_centre_baseline,
        lambda r: two_centre_baseline(r, "noncollinear"),
    ],
}

CASES |= transformer_cases.CASES
CASES |= product_cases.CASES
CASES |= roll_cases.CASES


def test_every_public_layer_has_a_case():
    public = {name for name in dir(layers) if not name.startswith("_")}
    assert public == set(CASES)


# JAX compiles each case for seconds: one of each layer there.
NUM_CASES = 1 if keras.config.backend() == "jax" else 3


@pytest.mark.parametrize(
    "name, number",
    [(n, k) for n in CASES for k in range(len(CASES[n][:NUM_CASES]))],
)
def test_contract(random, name, number):
    arguments, inputs = CASES[name][number](random)
    check_layer(getattr(layers, name), arguments, inputs)
