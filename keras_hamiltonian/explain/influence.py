"""Influence of atoms, edges, elements and features on a predicted block."""

import dataclasses
import json

import ase
import keras
import numpy as np
from ase.geometry import find_mic

from keras_hamiltonian.explain.fixed_graph import supercell_graph
from keras_hamiltonian.explain.inputs import as_model
from keras_hamiltonian.explain.requirements import find_visualizer
from keras_hamiltonian.files import write_text
from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.physics.k_points import periodic_directions

# Under the root of a norm, so that a block of zeros has a gradient: zero.
TINY = 1e-20


def saliency(
    model, atoms, target, repeat=(1, 1, 1), samples=0, noise=0.02, seed=0
):
    """Gradients of a block's norm by all inputs of the model.

    With `samples` (SmoothGrad), the mean over structures with random
    displacements of the atoms.

    Args:
        model: `Stage`, or the path of its `.keras` file, of any backend.
        atoms: `ase.Atoms`.
        target: `BlockTarget` or `KindTarget`.
        repeat: three ints. Cells of a supercell with the pair in its middle,
            see `repeats_for`. In a small cell the influence of an atom is that
            of all its images together.
        samples: int. Displaced structures of SmoothGrad; 0 for the gradient
            at the structure itself.
        noise: float. Standard deviation of the displacements, in Å.
        seed: int. Seed of the displacements.

    Returns:
        `Influence`.

    Raises:
        ImportError: if tf-keras-vis or TensorFlow is not installed.
        ValueError: if Keras runs on another backend, or there is no such
            target.

    Example:

    >>> target = BlockTarget(0, 1)                      # doctest: +SKIP
    >>> repeat = repeats_for(atoms, 18.0)               # doctest: +SKIP
    >>> found = saliency(model, atoms, target, repeat)  # doctest: +SKIP
    >>> found.against_distance()                        # doctest: +SKIP

    Reference: Simonyan et al., arXiv 1312.6034; Smilkov et al., arXiv
    1706.03825 (SmoothGrad).
    """
    visualizer = find_visualizer("saliency", "Saliency")
    if samples < 0 or noise < 0:
        raise ValueError(
            "`samples` and `noise` are not negative. Received: "
            f"samples={samples}, noise={noise}."
        )
    origin = target
    graph, target = supercell_graph(as_model(model), atoms, target, repeat)
    names = list(graph.zeros)
    gradients = _gradients(
        visualizer(graph.functional(names, target)),
        [graph.zeros[name][None] for name in names],
        samples,
        noise,
        seed,
    )
    gradients = {name: g[0] for name, g in zip(names, gradients)}
    evaluated = graph.evaluate()
    size = block_norm(graph.entries(target, evaluated))
    features = {
        name: np.asarray(evaluated[name])[0]
        for name in names
        if name in evaluated
    }
    edges, edge_gradients = _undirected(graph, gradients["edges"])
    return Influence(
        graph.atoms,
        target,
        origin,
        float(np.asarray(size)[0]),
        gradients["positions"],
        edges,
        edge_gradients,
        _elements(gradients, features),
        _by_degree(graph, gradients, features),
        _by_edge_order(graph, gradients, features),
        {"samples": samples, "noise": noise if samples else 0.0, "seed": seed},
    )


def block_norm(entries):
    """Frobenius norm of each row of `(B, E)` entries: what is explained."""
    return keras.ops.sqrt(keras.ops.sum(entries * entries, axis=-1) + TINY)


@dataclasses.dataclass
class Influence:
    """Gradients of the size of a target at one structure.

    Attributes:
        atoms: `ase.Atoms`, the supercell if there is one.
        target: `BlockTarget` or `KindTarget`, in this cell.
        origin: the target in the cell that was given.
        size: float. Frobenius norm of the target, eV.
        atom_gradients: `(N, 3)` array, eV/Å: by the positions of an atom and
            its images.
        edges: `(P, 5)` int array of `(R1, R2, R3, i, j)`, each pair within
            reach once.
        edge_gradients: `(P, 3)` array, eV/Å: by the vector from i to j, while
            all other edges stay. Their sum over the edges of an atom is the
            gradient of the atom.
        elements: `(N,)` array, eV: gradient times embedding of each atom's
            element; `None` without a first stage.
        degrees: `(groups, lmax + 1)` array, eV: gradient times feature after
            each group of the first stage, by degree l, as a sum of absolute
            values over channels and atoms. Gradients alone would depend on the
            size of the features; sums with signs would cancel where features
            are normalised next.
        edge_orders: the same for the features of edges, by |m| about the edge:
            σ, π, δ... Edge features mix degrees, not orders.
        settings: dict of the SmoothGrad settings.
    """

    atoms: ase.Atoms
    target: object
    origin: object
    size: float
    atom_gradients: np.ndarray
    edges: np.ndarray
    edge_gradients: np.ndarray
    elements: np.ndarray | None
    degrees: np.ndarray
    edge_orders: np.ndarray
    settings: dict

    @property
    def atom_influence(self):
        """Norms of `atom_gradients`, `(N,)` eV/Å."""
        return np.linalg.norm(self.atom_gradients, axis=1)

    @property
    def edge_influence(self):
        """Norms of `edge_gradients`, `(P,)` eV/Å."""
        return np.linalg.norm(self.edge_gradients, axis=1)

    @property
    def largest(self):
        """Largest influence of an atom or an edge, eV/Å."""
        return max(
            self.atom_influence.max(), self.edge_influence.max(initial=0.0)
        )

    def check(self):
        """Raises `ValueError` if nothing has any influence."""
        if not self.largest > 0:
            raise ValueError(
                f"Nothing has an influence on {self.origin.label}."
            )

    @property
    def atom_distances(self):
        """From the middle of the pair to the nearest image, `(N,)` in Å.

        Raises:
            ValueError: if the target has no place in the cell.
        """
        return self._distances(self.atoms.positions)

    @property
    def edge_distances(self):
        """From the middle of the pair to the nearest image of the middle of
        each edge, `(P,)` Å. Raises as `atom_distances`."""
        shifts, (i, j) = self.edges[:, :3], self.edges[:, 3:].T
        positions = self.atoms.positions
        ends = positions[j] + shifts @ np.asarray(self.atoms.cell)
        return self._distances((positions[i] + ends) / 2)

    @property
    def image_distance(self):
        """Distance in Å up to which images of an atom do not overlap: half of
        the smallest height of the cell, infinite for a molecule."""
        periodic = periodic_directions(self.atoms)
        if not periodic.any():
            return np.inf
        reciprocal = self.atoms.cell.complete().reciprocal()
        return float((0.5 / np.linalg.norm(reciprocal, axis=1))[periodic].min())

    def against_distance(self, width=0.5):
        """Influence as a function of the distance from the pair.

        Args:
            width: float. Width of the shells of distance, in Å.

        Returns:
            List of dicts: `from`, `to` (Å), `atoms` (their number), `largest`
            and `mean` influence of an atom (eV/Å), `beyond`: root of the sum
            of squares of all influences from this distance on, over that of
            all atoms.

        Raises:
            ValueError: if the target has no place in the cell.
        """
        if not width > 0:
            raise ValueError(f"`width` is positive. Received: {width}.")
        distances, influence = self.atom_distances, self.atom_influence
        shell = np.floor((distances + 1e-6) / width).astype(int)
        total = np.linalg.norm(influence) or 1.0
        found = []
        for k in np.unique(shell):
            inside = influence[shell == k]
            found.append(
                {
                    "from": float(k * width),
                    "to": float((k + 1) * width),
                    "atoms": len(inside),
                    "largest": float(inside.max()),
                    "mean": float(inside.mean()),
                    "beyond": float(
                        np.linalg.norm(influence[shell >= k]) / total
                    ),
                }
            )
        return found

    def to_dict(self):
        """Everything as JSON values, units in the names."""
        found = {
            "target": self.origin.label,
            "size_ev": self.size,
            "symbols": self.atoms.get_chemical_symbols(),
            "positions_angstrom": self.atoms.positions.tolist(),
            "cell_angstrom": np.asarray(self.atoms.cell).tolist(),
            "pbc": self.atoms.pbc.tolist(),
            "atom_gradients_ev_per_angstrom": self.atom_gradients.tolist(),
            "edges": self.edges.tolist(),
            "edge_influence_ev_per_angstrom": self.edge_influence.tolist(),
            "elements_ev": None
            if self.elements is None
            else self.elements.tolist(),
            "degrees_ev": self.degrees.tolist(),
            "edge_orders_ev": self.edge_orders.tolist(),
            "smooth_grad": self.settings,
        }
        if self.target.center(self.atoms) is not None:
            found["against_distance"] = self.against_distance()
        return found

    def write(self, path):
        """Writes a JSON file.

        Args:
            path: str or path.
        """
        text = json.dumps(self.to_dict())
        write_text(path, text + "\n")

    def _distances(self, positions):
        center = self.target.center(self.atoms)
        if center is None:
            raise ValueError(
                f"{self.target.label} is all over the crystal, so there are "
                "no distances from it. Explain a `BlockTarget`."
            )
        steps = positions - center
        return find_mic(steps, self.atoms.cell, self.atoms.pbc)[1]


def _gradients(visualizer, inputs, samples, noise, seed):
    """Mean gradients of the norm by each input, NumPy arrays."""
    # tf-keras-vis takes noise in units of the extent of each input. All inputs
    # but the positions are zero, so they get none.
    extent = float(np.ptp(inputs[0]))
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        found = visualizer(
            block_norm,
            inputs,
            smooth_samples=samples,
            smooth_noise=noise / extent,
            keepdims=True,
            normalize_map=False,
            gradient_modifier=None,
            unconnected_gradients="zero",
        )
    finally:
        np.random.set_state(state)
    return [np.asarray(gradient, dtype=np.float64) for gradient in found]


def _undirected(graph, gradients):
    """Edges and gradients by their vectors, an edge and its reverse as one.

    The list of neighbours holds the vector of the reverse separately. It is the
    negative of the edge's vector, so its gradient counts negative.
    """
    pairs, forth, back = graph.edges()
    gradients = gradients.reshape(-1, 3)
    return graph.pairs[pairs], gradients[forth] - gradients[back]


def _elements(gradients, features):
    if "elements" not in features:
        return None
    return (gradients["elements"] * features["elements"]).sum(axis=-1)


def _by_degree(graph, gradients, features):
    lmax = max((irreps.lmax for irreps in graph.irreps), default=0)
    found = np.zeros((len(graph.irreps), lmax + 1))
    for k, irreps in enumerate(graph.irreps):
        name = f"atoms_{k + 1}"
        product = gradients[name] * features[name]
        for (_, irrep), where in zip(irreps, irreps.slices()):
            found[k, irrep.l] += _of_channels(product[:, where], irrep.dim)
    return found


def _by_edge_order(graph, gradients, features):
    mmax = max((irreps.lmax for irreps in graph.irreps), default=0)
    found = np.zeros((len(graph.irreps), mmax + 1))
    real = graph.table.edge_mask
    for k, irreps in enumerate(graph.irreps):
        name = f"edges_{k + 1}"
        product = (gradients[name] * features[name])[real]
        start = 0
        for kind, channels in EdgeIrreps(irreps).items():
            stop = start + edge_dim(kind) * channels
            found[k, int(kind.rstrip("+-"))] += _of_channels(
                product[:, start:stop], edge_dim(kind)
            )
            start = stop
    return found


def _of_channels(product, dim):
    """Sum over components of each channel, then of absolute values."""
    components = product.reshape(len(product), dim, -1)
    return np.abs(components.sum(axis=1)).sum()
