"""A network with DeepH-E3's architecture, written on e3nn for comparison.

Follows the published description (Gong et al., Nature Communications 2023):
every convolution is a fully connected tensor product of [n_i | n_j | e_ij]
with the spherical harmonics of the edge, weights shared by all edges, then a
gate and radial weights from an MLP. Onsite blocks are edges of length zero.
No code of theirs.
"""

import torch
from e3nn import nn
from e3nn import o3

HARMONICS = o3.Irreps.spherical_harmonics(4)
NUM_RADIAL = 128


def gaussians(lengths, cutoff, number):
    """Gaussians from 0 to the cut-off, as wide as their spacing."""
    centers = torch.linspace(0, cutoff, number)
    width = cutoff / (number - 1)
    return torch.exp(-(((lengths[:, None] - centers) / width) ** 2) / 2)


def sort_order(irreps):
    """Where the components of the sorted irreps stand: fewer, larger terms.

    Returns:
        The sorted and simplified irreps, and an index tensor.
    """
    slices = irreps.slices()
    order = sorted(range(len(irreps)), key=lambda k: irreps[k].ir)
    index = torch.cat([torch.arange(irreps.dim)[slices[k]] for k in order])
    return o3.Irreps([irreps[k] for k in order]).simplify(), index


def linear(irreps_in, irreps_out):
    """Linear map with a bias on scalars."""
    return o3.Linear(irreps_in, irreps_out, biases=True)


class Convolution(torch.nn.Module):
    """Tensor product, gate, radial weights."""

    def __init__(self, irreps_in, irreps_out):
        super().__init__()
        scalars = [(m, i) for m, i in irreps_out if i.l == 0]
        rest = [(m, i) for m, i in irreps_out if i.l > 0]
        gates = o3.Irreps([(sum(m for m, _ in rest), "0e")])
        self.gate = nn.Gate(
            scalars,
            [
                torch.nn.functional.silu if i.p == 1 else torch.tanh
                for _, i in scalars
            ],
            gates,
            [torch.sigmoid],
            rest,
        )
        irreps_in, self.order = sort_order(irreps_in)
        self.product = o3.FullyConnectedTensorProduct(
            irreps_in, HARMONICS, self.gate.irreps_in
        )
        irreps = self.gate.irreps_out
        self.radial = torch.nn.Sequential(
            torch.nn.Linear(NUM_RADIAL, 64),
            torch.nn.SiLU(),
            torch.nn.Linear(64, 64),
            torch.nn.SiLU(),
            torch.nn.Linear(64, irreps.num_irreps),
        )
        self.weigh = o3.ElementwiseTensorProduct(
            irreps, [(irreps.num_irreps, "0e")]
        )
        self.irreps_out = self.weigh.irreps_out

    def forward(self, features, harmonics, radial):
        """Messages of all edges: `(E, irreps_out.dim)`."""
        messages = self.gate(self.product(features[:, self.order], harmonics))
        return self.weigh(messages, self.radial(radial))


class GraphNorm(torch.nn.Module):
    """Unit size of every irrep over the whole graph."""

    def __init__(self, irreps):
        super().__init__()
        self.irreps = irreps
        self.scale = torch.nn.Parameter(torch.ones(irreps.num_irreps))

    def forward(self, x):
        """`(num, irreps.dim)` to the same."""
        pieces, start = [], 0
        for (mul, irrep), where in zip(self.irreps, self.irreps.slices()):
            y = x[:, where].reshape(len(x), mul, irrep.dim)
            if irrep.l == 0 and irrep.p == 1:
                y = y - y.mean(dim=(0, 1), keepdim=True)
            size = (y * y).mean().add(1e-5).rsqrt()
            y = y * size * self.scale[start : start + mul, None]
            pieces.append(y.flatten(1))
            start += mul
        return torch.cat(pieces, dim=1)


class Update(torch.nn.Module):
    """Node or edge block: convolution, self-connection, norm, residual."""

    def __init__(self, irreps_in, irreps_features, irreps_out, num_kinds):
        super().__init__()
        self.convolution = Convolution(irreps_features, irreps_out)
        self.before = linear(irreps_in, irreps_in)
        self.after = linear(self.convolution.irreps_out, irreps_out)
        self.connection = o3.FullyConnectedTensorProduct(
            irreps_in, [(num_kinds, "0e")], irreps_out
        )
        self.norm = GraphNorm(irreps_out)
        self.residual = linear(irreps_in, irreps_out)

    def finish(self, old, messages, kinds):
        """New features from the old ones and the (summed) messages."""
        new = self.after(messages) + self.connection(old, kinds)
        return self.norm(new) + self.residual(old)


class DeepHE3Like(torch.nn.Module):
    """Atoms and edges to the irreps of all blocks.

    Args:
        irreps_out: `o3.Irreps` of one block.
        num_species: int.
        cutoff: float, Å.
        irreps: str. Hidden irreps.
        num_groups: int. Groups of a node and an edge block.
    """

    def __init__(self, irreps_out, num_species, cutoff, irreps, num_groups=3):
        super().__init__()
        hidden, scalars = o3.Irreps(irreps), o3.Irreps("64x0e")
        self.cutoff, self.num_species = cutoff, num_species
        self.embedding = torch.nn.Linear(num_species, 64)
        self.node_updates = torch.nn.ModuleList()
        self.edge_updates = torch.nn.ModuleList()
        nodes = edges = scalars
        for group in range(num_groups):
            self.node_updates.append(
                Update(nodes, 2 * nodes + edges, hidden, num_species)
            )
            nodes = hidden
            after = hidden if group < num_groups - 1 else irreps_out
            self.edge_updates.append(
                Update(edges, 2 * nodes + edges, after, num_species**2)
            )
            edges = after
        self.readout = linear(edges, irreps_out)

    def forward(self, species, first, second, vectors):
        """Irreps of the block of each edge.

        Args:
            species: `(N,)` int tensor.
            first, second: `(E,)` int tensors, self-edges included.
            vectors: `(E, 3)` tensor in e3nn's order (y, z, x), Å.
        """
        lengths = vectors.norm(dim=1)
        harmonics = o3.spherical_harmonics(
            HARMONICS, vectors, True, normalization="component"
        )
        # A self-edge has no direction.
        no_direction = (lengths < 1e-6)[:, None] & (
            torch.arange(HARMONICS.dim) > 0
        )
        harmonics = harmonics.masked_fill(no_direction, 0.0)
        radial = gaussians(lengths, self.cutoff, NUM_RADIAL)
        kinds = torch.nn.functional.one_hot(species, self.num_species).float()
        pairs = torch.nn.functional.one_hot(
            species[first] * self.num_species + species[second],
            self.num_species**2,
        ).float()
        nodes = self.embedding(kinds)
        edges = gaussians(lengths, 6.0, 64)
        for update, edge_update in zip(self.node_updates, self.edge_updates):
            old, nodes = nodes, update.before(nodes)
            x = torch.cat([nodes[first], nodes[second], edges], dim=1)
            messages = update.convolution(x, harmonics, radial)
            sums = torch.zeros(len(species), messages.shape[1])
            sums = sums.index_add(0, first, messages)
            nodes = update.finish(old, sums, kinds)
            x = torch.cat(
                [nodes[first], nodes[second], edge_update.before(edges)], dim=1
            )
            messages = edge_update.convolution(x, harmonics, radial)
            edges = edge_update.finish(edges, messages, pairs)
        return self.readout(edges)
