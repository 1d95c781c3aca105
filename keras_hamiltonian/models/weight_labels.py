"""What the entries of weights belong to: elements, and shells of orbitals.

Models of different elements have weights of different shapes. A label says
what an index along an axis stands for, so that a weight can be taken over
from one model to the other: the symbol of an element, a pair of them, or a
channel of a block, named by its shells. The k-th shell of degree l has the
label (l, k) whatever else there is in the table.
"""

import functools
import itertools

from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.layers.convolution.self_tensor_product import (
    SelfTensorProduct,
)
from keras_hamiltonian.layers.geometry.initial_features import InitialFeatures
from keras_hamiltonian.layers.geometry.radial_features import RadialFeatures
from keras_hamiltonian.layers.geometry.species_embedding import SpeciesEmbedding
from keras_hamiltonian.layers.linear.equivariant_linear import EquivariantLinear
from keras_hamiltonian.layers.readout.hopping_readout import HoppingReadout
from keras_hamiltonian.layers.readout.onsite_readout import OnsiteReadout
from keras_hamiltonian.layers.readout.projector_sum import ProjectorSum
from keras_hamiltonian.layers.readout.trace_head import TraceHead
from keras_hamiltonian.layers.readout.two_centre_baseline import (
    TwoCentreBaseline,
)
from keras_hamiltonian.models.transformer.angle_features import AngleFeatures


def weight_labels(stage):
    """Labels of all weights that depend on the elements of a stage.

    Args:
        stage: `Stage`.

    Returns:
        Dict from the path of a weight to a list of one entry for each axis:
        a list of labels, or `None` for an axis that does not depend on the
        elements.
    """
    symbols = list(stage.basis.symbols)
    found = {}
    # Parents come after their parts, of which they know more.
    for layer in reversed(list(stage._flatten_layers())):
        for weight, axes in _labels(layer, symbols):
            found[weight.path] = axes
    return found


@functools.singledispatch
def _labels(layer, symbols):
    """Pairs of a weight and the labels of its axes."""
    return []


@_labels.register
def _(layer: SpeciesEmbedding, symbols):
    return [(layer.table, [symbols, None])]


@_labels.register
def _(layer: RadialFeatures, symbols):
    rows = list(range(layer.num_gaussians))
    if layer.num_species == 1:
        return [(layer.kernels[0], [rows, None])]
    rows += [("pair", k) for k in range(layer.embedding_size)]
    return [
        (layer.embedding, [_pairs(symbols), None]),
        (layer.kernels[0], [rows, None]),
    ]


@_labels.register
def _(layer: EquivariantLinear, symbols):
    return _linear(layer, symbols)


@_labels.register
def _(layer: SelfTensorProduct, symbols):
    if layer.num_species is None:
        return []
    return [(layer.kernel, [symbols, None, None])]


@_labels.register
def _(layer: AngleFeatures, symbols):
    axes = [_pairs(symbols), None]
    return [(layer.own_pair, axes), (layer.other_pair, axes)]


@_labels.register
def _(layer: InitialFeatures, symbols):
    layout = layer.layout
    onsite = _onsite_channels(layout.onsite["scalar"])
    hopping = _edge_channels(layout.hopping["scalar"])
    return [
        *_linear(layer.onsite, symbols, inputs=onsite),
        *_edge_linear(layer.hopping, [hopping], None),
    ]


@_labels.register
def _(layer: OnsiteReadout, symbols):
    found = []
    for part, linear in layer.linear.items():
        channels = _onsite_channels(layer.layout.onsite[part])
        found += _linear(linear, symbols, outputs=channels)
    return found


@_labels.register
def _(layer: HoppingReadout, symbols):
    found = []
    for part, linear in layer.linear.items():
        channels = _edge_channels(layer.layout.hopping[part])
        found += _edge_linear(linear, [None], channels)
    return found


@_labels.register
def _(layer: ProjectorSum, symbols):
    shells = shell_labels(layer.layout.basis.table_shells)
    projectors = shell_labels(layer.shells)
    rows = [(*s, m) for s in shells for m in range(2 * s[0] + 1)]
    units = [(s, p) for s in shells for p in projectors if s[0] == p[0]]
    found = [
        (layer.row_sizes, [rows]),
        (layer.own, [symbols, units]),
        (layer.middle, [symbols, None]),
    ]
    if "vector" in layer.layout.parts:
        found.append((layer.spin_orbit, [symbols, None]))
    channels = _edge_channels(layer.blocks)
    return found + _edge_linear(layer.linear, [None, None], channels)


@_labels.register
def _(layer: TraceHead, symbols):
    shells = shell_labels(layer.basis.table_shells)
    pairs = list(itertools.product(shells, repeat=2))
    found = []
    for _, last in layer.networks.values():
        found += [(last.kernel, [None, pairs]), (last.bias, [pairs])]
    return found


@_labels.register
def _(layer: TwoCentreBaseline, symbols):
    pairs = _pairs(symbols)
    found = []
    for part in layer.layout.parts:
        edges = _edge_channels(layer.layout.hopping[part])
        every = [(kind, c) for kind, own in edges.items() for c in own]
        atoms = _onsite_channels(layer.layout.onsite[part])
        components = [
            (m, irrep, c)
            for irrep, own in atoms.items()
            for m in range(irrep.dim)
            for c in own
        ]
        natural = [
            (irrep, c)
            for irrep, own in atoms.items()
            if irrep.is_natural
            for c in own
        ]
        found += [
            (layer.means[part], [None, pairs, edges["0+"]]),
            (layer.scales[part], [None, pairs, every]),
            (layer.onsite_means[part], [symbols, components]),
            (layer.onsite_scales[part], [symbols, components]),
            (layer.onsite_functions[part], [None, pairs, natural]),
        ]
    return found


def shell_labels(shells):
    """Labels (l, k) of the shells of a table: the k-th one of degree l.

    Example:

    >>> shell_labels((0, 0, 1))
    [(0, 0), (0, 1), (1, 0)]
    """
    return [(l, shells[:k].count(l)) for k, l in enumerate(shells)]


def _pairs(symbols):
    return list(itertools.product(symbols, repeat=2))


def _onsite_channels(coupling):
    """Labels of the channels of each irrep of onsite blocks."""
    shells = shell_labels(coupling.shells)
    found = {}
    for p, q, degree, irrep in coupling.channels:
        found.setdefault(irrep, []).append((shells[p], shells[q], degree))
    return found


def _edge_channels(layout):
    """Labels of the channels of each kind of hopping blocks."""
    rows = shell_labels(layout.shells)
    columns = shell_labels(layout.columns.shells)
    found = {kind: [None] * n for kind, n in layout.channels.items()}
    for slab in layout.slabs:
        pairs = itertools.product(
            layout.shells_of[slab.m1], layout.columns.shells_of[slab.m2]
        )
        for n, (p, q) in enumerate(pairs):
            for k, (kind, start) in enumerate(zip(slab.kinds, slab.starts)):
                name = (slab.m1, slab.m2, slab.spin, k, rows[p], columns[q])
                found[kind][start + n] = name
    return found


def _linear(layer, symbols, inputs=None, outputs=None):
    """Labels of an `EquivariantLinear` between channels with labels."""
    own = symbols if layer.num_species else None
    flat = []
    for (mul, irrep), (count, _) in zip(layer.irreps_out, layer.kernel_shapes):
        before = inputs[irrep] if inputs else range(count)
        after = outputs[irrep] if outputs else range(mul)
        flat += [(irrep, a, b) for a in before for b in after]
    found = [(layer.kernel, [own, flat])]
    if layer.bias is not None:
        scalars = outputs[Irrep(0, 1)] if outputs else None
        found.append((layer.bias, [own, scalars]))
    return found


def _edge_linear(layer, inputs, outputs):
    """The same of an `SO2Linear`."""
    flat = []
    for kind, (counts, size) in layer.kernel_shapes.items():
        after = outputs[kind] if outputs else range(size)
        for k, (own, count) in enumerate(zip(inputs, counts)):
            before = own.get(kind, []) if own else range(count)
            flat += [(kind, k, a, b) for a in before for b in after]
    found = [(layer.kernel, [flat])]
    if layer.bias is not None:
        found.append((layer.bias, [outputs["0+"] if outputs else None]))
    return found
