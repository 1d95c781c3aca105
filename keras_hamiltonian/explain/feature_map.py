"""Gradient times feature of each atom."""

import numpy as np

from keras_hamiltonian.explain.fixed_graph import supercell_graph
from keras_hamiltonian.explain.influence import block_norm
from keras_hamiltonian.explain.inputs import as_model
from keras_hamiltonian.explain.requirements import find_visualizer


def activation_map(model, atoms, target, group=None, repeat=(1, 1, 1)):
    """Gradient times feature of each atom, as Grad-CAM maps it.

    The features after an interaction group correspond to the last convolution
    of an image network, and atoms to its pixels. The features of each atom are
    multiplied by their own gradient (HiResCAM). Grad-CAM averages the gradient
    over all pixels first; over the similar atoms of a crystal, that average
    would lose the places.

    Features and gradient rotate with the crystal, so the map stays as it is.
    Those of edges rotate with it too, see `Influence.edge_orders`.

    Args:
        model: `Stage` with a first stage, or the path of its `.keras` file.
        atoms: `ase.Atoms`.
        target: `BlockTarget` or `KindTarget`.
        group: int. Group of the first stage, from 1 to the last but one,
            which is the default. After the last group features are normalised,
            so gradient times feature is zero (Euler's theorem).
        repeat: three ints. Cells of a supercell, see `saliency`.

    Returns:
        `(N,)` array, eV: positive where larger features would enlarge the
        target.

    Raises:
        ImportError: if tf-keras-vis or TensorFlow is not installed.
        ValueError: if Keras runs on another backend, or the model has no such
            group or target.

    Reference: Selvaraju et al., arXiv 1610.02391 (Grad-CAM); Draelos & Carin,
    arXiv 2011.08891 (HiResCAM).
    """
    # HiResCAM is LayerCAM without its cut of negative gradients, which would
    # act on single components and break the rotational symmetry.
    visualizer = find_visualizer("layercam", "Layercam")
    model = as_model(model)
    graph, target = supercell_graph(model, atoms, target, repeat)
    count = len(graph.irreps)
    group = count - 1 if group is None else group
    if not 1 <= group < count:
        raise ValueError(
            f"The first stage of {model.name!r} has {count} groups, and a map "
            f"takes the features after one that another follows. Received: "
            f"group={group}."
        )
    found = visualizer(graph.functional_through(f"atoms_{group}", target))(
        block_norm,
        [graph.zeros["positions"][None]],
        penultimate_layer=f"atoms_{group}",
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
        gradient_modifier=None,
        activation_modifier=None,
        unconnected_gradients="zero",
    )
    return np.asarray(found, dtype=np.float64)[0]
