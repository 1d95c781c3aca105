"""TraceGrad in a group of updates: what its options make."""

from keras_hamiltonian.layers.convolution.atom_gradient_mixing import (
    AtomGradientMixing,
)
from keras_hamiltonian.layers.convolution.edge_gradient_mixing import (
    EdgeGradientMixing,
)

STEP = 0.2
STEPS = {"trace": 0.0, "gradient": STEP, "both": STEP}


def make_mixing(tracegrad, irreps_atoms, irreps_edges, **own):
    """Layers that compute invariants and take a step along their gradient.

    Args:
        tracegrad: str. `"gradient"`, `"both"`, or `"trace"` for no step.
        irreps_atoms, irreps_edges: what is mixed.
        **own: further arguments of the layers.

    Returns:
        Dict of layers, `"atoms"` and `"edges"`; empty for `None`.

    Raises:
        ValueError: for another name.
    """
    if tracegrad is None:
        return {}
    if tracegrad not in STEPS:
        raise ValueError(
            '`tracegrad` is "trace", "gradient", "both" or None. Received: '
            f"tracegrad={tracegrad!r}."
        )
    step = STEPS[tracegrad]
    return {
        "atoms": AtomGradientMixing(
            str(irreps_atoms), step, name="atom_mixing", **own
        ),
        "edges": EdgeGradientMixing(
            str(irreps_edges), step, name="edge_mixing", **own
        ),
    }


def invariant_shapes(mixing, leading):
    """Shapes of what the layers add to a state.

    Args:
        mixing: dict of layers, see `make_mixing`.
        leading: `(N, M)`.
    """
    if not mixing:
        return {}
    return {
        "atom_invariants": (leading[0], mixing["atoms"].num_invariants),
        "edge_invariants": (*leading, mixing["edges"].num_invariants),
    }
