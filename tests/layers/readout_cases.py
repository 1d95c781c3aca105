"""Arguments and inputs of the layers that make matrix blocks."""

from layer_inputs import BASIS
from layer_inputs import MIXED
from layer_inputs import REACHES
from layer_inputs import M
from layer_inputs import N
from layer_inputs import atoms_of
from layer_inputs import edges_of
from layer_inputs import graph
from layer_inputs import readout_irreps
from layer_inputs import wigner_of

from keras_hamiltonian.orbitals.block_layout import BlockLayout


def blocks_of(random, spin="none", rows=3):
    inner = (rows, rows) if spin == "none" else (2, 2, 2, rows, rows)
    return {
        "onsite": random.normal(size=(N, *inner)),
        "hopping": random.normal(size=(N, M, *inner)),
    }


def block_sum(random, spin="none"):
    """Corrections are those without spin."""
    return {}, {**blocks_of(random, spin), "corrections": blocks_of(random)}


def initial_features(random, spin="none"):
    irreps = "4x0e + 3x1o + 2x2e"
    arguments = {"basis": BASIS, "reaches": REACHES, "irreps": irreps}
    blocks = blocks_of(random, spin, rows=5)
    return arguments, {
        "atoms": random.normal(size=(N, 4)),
        "edges": edges_of(random, "9x0+"),
        "onsite": blocks["onsite"],
        "hopping": blocks["hopping"],
        **graph(random, "relative", "species", "neighbors", "edge_mask"),
        "wigner": wigner_of(random, 2),
    }


def hermitian_average(random, spin="none"):
    inputs = blocks_of(random, spin)
    return {"spin": spin}, {**inputs, **graph(random, "reverse_edge")}


def hopping_readout(random, spin="none"):
    irreps = readout_irreps(spin)
    layout = BlockLayout(BASIS, spin)
    mean, scale = {}, {}
    for part, hopping in layout.hopping.items():
        total = sum(hopping.channels.values())
        mean[part] = random.normal(size=(N, M, hopping.channels["0+"]))
        scale[part] = random.normal(size=(N, M, total))
    return {"basis": BASIS, "irreps": irreps, "spin": spin}, {
        "edges": edges_of(random, irreps),
        "mean": mean,
        "scale": scale,
        "wigner": wigner_of(random, layout.lmax),
    }


def onsite_readout(random, spin="none"):
    irreps = readout_irreps(spin)
    couplings = BlockLayout(BASIS, spin).onsite.items()
    mean, scale = (
        {
            part: random.normal(size=(N, coupling.irreps.dim))
            for part, coupling in couplings
        }
        for _ in range(2)
    )
    return {"basis": BASIS, "irreps": irreps, "spin": spin}, {
        "atoms": atoms_of(random, irreps),
        "mean": mean,
        "scale": scale,
        **graph(random, "species"),
    }


def projector_sum(random, spin="none"):
    arguments = {
        "basis": BASIS,
        "irreps": MIXED,
        "projectors": "1s 1p",
        "spin": spin,
        "radial_size": 6,
        "gain": 1.0,
    }
    names = "relative", "edge_mask", "species", "common_neighbors"
    return arguments, {
        "edges": edges_of(random, MIXED),
        "radial": random.normal(size=(N, M, 6)),
        "wigner": wigner_of(random),
        **graph(random, *names),
    }


def two_centre_baseline(random, spin="none"):
    arguments = {
        "basis": BASIS,
        "reaches": REACHES,
        "spin": spin,
        "num_splines": 6,
        "two_centre": spin == "none",
        "channel_scales": spin == "none",
    }
    names = "relative", "species", "neighbors", "edge_mask"
    return arguments, {
        **graph(random, *names),
        "wigner": wigner_of(random, 3),
    }


def trace_head(random):
    atoms = [random.normal(size=(N, size)) for size in (3, 4)]
    edges = [random.normal(size=(N, M, size)) for size in (3, 4)]
    return {"basis": BASIS, "hidden": 6}, {"atoms": atoms, "edges": edges}


CASES = {
    "BlockSum": [block_sum],
    "HermitianAverage": [
        hermitian_average,
        lambda r: hermitian_average(r, "noncollinear"),
    ],
    "InitialFeatures": [
        initial_features,
        lambda r: initial_features(r, "noncollinear"),
    ],
    "HoppingReadout": [
        hopping_readout,
        lambda r: hopping_readout(r, "noncollinear"),
    ],
    "OnsiteReadout": [
        onsite_readout,
        lambda r: onsite_readout(r, "noncollinear"),
    ],
    "ProjectorSum": [
        projector_sum,
        lambda r: projector_sum(r, "noncollinear"),
    ],
    "TraceHead": [trace_head],
    "TwoCentreBaseline": [
        two_centre_baseline,
        lambda r: two_centre_baseline(r, "noncollinear"),
    ],
}
