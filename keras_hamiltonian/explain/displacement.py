"""Which displacement of the atoms changes a block most."""

import dataclasses

import ase
import keras
import numpy as np

from keras_hamiltonian.explain.fixed_graph import FixedGraph
from keras_hamiltonian.explain.inputs import as_model
from keras_hamiltonian.explain.requirements import find_visualizer

# Atoms, over all copies of a structure, that are computed together: memory.
ATOMS_AT_ONCE = 128
# Each number needs a backward pass. A block of 19 orbitals with spin has 2888.
MOST_ENTRIES = 3000
# Singular values below this number times the resolution of the float type
# times the norm of the block, per ångström, are rounding errors, as where
# edges to the images of an atom cancel.
ROUNDING = 100


def block_jacobian(model, atoms, target):
    """Derivatives of a target's numbers by the positions of all atoms.

    Args:
        model: `Stage`, or the path of its `.keras` file, of any backend.
        atoms: `ase.Atoms`. An atom moves together with its images.
        target: `BlockTarget` or `KindTarget`.

    Returns:
        `(E, N, 3)` array, eV/Å. Numbers of a block row by row; with spin, the
        outermost axes are real and imaginary part, spin of the row, spin of
        the column. Sums over N are zero, because a uniform displacement
        changes no block.

    Raises:
        ImportError: if tf-keras-vis or TensorFlow is not installed.
        ValueError: if Keras runs on another backend, there is no such target,
            or it has more than 3000 numbers.
    """
    return _jacobian(_graph(model, atoms, target), target)


def largest_change(model, atoms, target):
    """The displacement of unit length that changes a target most.

    It is the leading right singular vector of the Jacobian: to first order,
    the shortest displacement that changes the block by ε has the length ε over
    the leading singular value. It is unique up to its sign, unless the two
    leading values are equal.

    Args:
        model: `Stage`, or the path of its `.keras` file, of any backend.
        atoms: `ase.Atoms`. An atom moves together with its images.
        target: `BlockTarget` or `KindTarget`.

    Returns:
        `Displacement`.

    Raises:
        ImportError, ValueError: as `block_jacobian`.
    """
    graph = _graph(model, atoms, target)
    jacobian = _jacobian(graph, target)
    flat = jacobian.reshape(len(jacobian), -1)
    _, values, vectors = np.linalg.svd(flat, full_matrices=False)
    vector = vectors[0]
    # The sign is free: the largest component is positive.
    vector = vector * np.sign(vector[np.abs(vector).argmax()])
    whole = dataclasses.replace(target, correction=False)
    size = np.linalg.norm(graph.entries(whole, graph.evaluate()))
    rounding = float(ROUNDING * np.finfo(graph.dtype).eps * size)
    if values[0] <= rounding:
        vector = np.zeros_like(vector)
    return Displacement(
        atoms,
        target,
        vector.reshape(-1, 3),
        values,
        flat @ vector,
        graph.pairs[graph.edges()[0]],
        rounding,
    )


@dataclasses.dataclass
class Displacement:
    """What `largest_change` found.

    Attributes:
        atoms: `ase.Atoms`.
        target: `BlockTarget` or `KindTarget`.
        vectors: `(N, 3)` array of norm one: the displacement; zero if none
            changes the target.
        singular_values: array, eV/Å, descending: change of the target by
            displacements of unit length, in orthogonal directions.
        change: `(E,)` array, eV/Å: change of each number along `vectors`.
        edges: `(P, 5)` int array of `(R1, R2, R3, i, j)`, each pair within
            reach once.
        rounding: float, eV/Å. Singular values up to it are zero.
    """

    atoms: ase.Atoms
    target: object
    vectors: np.ndarray
    singular_values: np.ndarray
    change: np.ndarray
    edges: np.ndarray
    rounding: float = 0.0

    @property
    def is_zero(self):
        """Whether no displacement changes the target, as in a crystal with
        one atom per cell."""
        return bool(self.singular_values[0] <= self.rounding)

    def check(self):
        """Raises `ValueError` if no displacement changes the target."""
        if self.is_zero:
            raise ValueError(
                f"No displacement of the atoms changes {self.target.label}."
            )

    @property
    def shares(self):
        """Squared length of each atom's displacement, `(N,)`; sum one."""
        return (self.vectors**2).sum(axis=1)

    def smallest(self, change):
        """The shortest displacement that changes the target by an energy.

        Args:
            change: float. Frobenius norm of the change, eV.

        Returns:
            `(N, 3)` array, Å, to first order.

        Raises:
            ValueError: if no displacement changes the target.
        """
        self.check()
        return self.vectors * (change / self.singular_values[0])

    def to_dict(self):
        """Everything as JSON values, units in the names."""
        return {
            "target": self.target.label,
            "displacement": self.vectors.tolist(),
            "shares": self.shares.tolist(),
            "singular_values_ev_per_angstrom": self.singular_values.tolist(),
        }


def _graph(model, atoms, target):
    find_visualizer("saliency", "Saliency")
    graph = FixedGraph(as_model(model), atoms)
    graph.check(target)
    return graph


def _jacobian(graph, target):
    visualizer = find_visualizer("saliency", "Saliency")
    num_atoms = len(graph.atoms)
    count = len(target.entries(graph)[1])
    if count > MOST_ENTRIES:
        raise ValueError(
            f"{target.label} has {count} numbers, each of which needs a "
            f"backward pass; {MOST_ENTRIES} at most are differentiated. "
            "Explain a `BlockTarget`, or a part of it by `rows` and `columns`."
        )
    copies = max(1, min(count, ATOMS_AT_ONCE // num_atoms))
    # One number of each copy of the structure: one backward pass for many.
    differentiate = visualizer(graph.functional(["positions"], target, copies))
    positions = np.repeat(graph.zeros["positions"][None], copies, axis=0)
    found = np.zeros((count, num_atoms, 3))
    for start in range(0, count, copies):
        chosen = np.zeros((copies, count), graph.dtype)
        stop = min(start + copies, count)
        chosen[np.arange(stop - start), np.arange(start, stop)] = 1

        def pick(entries, chosen=chosen):
            return keras.ops.sum(entries * chosen, axis=-1)

        gradients = differentiate(
            pick,
            [positions],
            keepdims=True,
            normalize_map=False,
            gradient_modifier=None,
            unconnected_gradients="zero",
        )
        found[start:stop] = np.asarray(gradients[0])[: stop - start]
    return found
