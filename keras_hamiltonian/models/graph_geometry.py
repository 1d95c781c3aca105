"""What a network is told about the edges of a crystal."""

import keras

from keras_hamiltonian.layers.geometry.edge_envelope import EdgeEnvelope
from keras_hamiltonian.layers.geometry.edge_geometry import EdgeGeometry
from keras_hamiltonian.layers.geometry.edge_lengths import EdgeLengths
from keras_hamiltonian.layers.geometry.radial_features import RadialFeatures
from keras_hamiltonian.layers.geometry.unpack_wigner import UnpackWigner
from keras_hamiltonian.layers.parts import make_part
from keras_hamiltonian.models.composite_layer import CompositeLayer
from keras_hamiltonian.orbitals.basis import OrbitalBasis


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class GraphGeometry(CompositeLayer):
    """Lengths, envelopes, frames and radial features of all edges.

    Args:
        basis: dict. Shells of each element.
        reaches: dict. Reach of each element's orbitals in Å.
        lmax: int. Largest degree of the Wigner matrices.
        num_gaussians: int. Radial functions.
        radial_units: sequence of int. Hidden layers of radial weights.
        radial: layer or factory in place of `RadialFeatures`, see `make_part`.
            It takes `(lengths, species, neighbors)` and returns
            `(N, M, size)`.
        frames_given: bool. Whether the Wigner matrices are among the inputs,
            as a second stage finds them.
        weighted: bool. Whether the weighted ones are needed, too.

    Call arguments:
        inputs: dict, see `graph_inputs` and `refinement_inputs`.

    Output: a dict of `"lengths"` (Å), `"relative"` and `"envelope"`,
        `(N, M)`; `"radial"`, `(N, M, size)`; `"wigner"` and
        `"weighted_wigner"`, lists for l = 0..lmax (see `EdgeEnvelope`).

    Attributes:
        radial_size: int. The size of `"radial"`.
    """

    def __init__(
        self,
        basis,
        reaches,
        lmax,
        num_gaussians=64,
        radial_units=(64, 64),
        radial=None,
        frames_given=False,
        weighted=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy}
        reach = [float(reaches[s]) for s in OrbitalBasis(basis).symbols]
        self.frames_given = frames_given
        self.weighted = weighted
        if frames_given:
            self.lengths = EdgeLengths(name="lengths", **own)
            self.wigner = UnpackWigner(lmax, name="wigner", **own)
        else:
            self.frames = EdgeGeometry(lmax, name="frames", **own)
        self.envelope = EdgeEnvelope(reach, name="envelope", **own)
        self.radial = make_part(
            radial,
            RadialFeatures,
            num_gaussians=num_gaussians,
            reach=2 * max(reach),
            num_species=len(reach),
            units=radial_units,
            name="radial",
            **own,
        )
        self.radial_size = _size_of(self.radial)

    def call(self, inputs):
        vectors, mask = inputs["edge_vectors"], inputs["edge_mask"]
        graph = inputs["species"], inputs["neighbors"]
        if self.frames_given:
            lengths = self.lengths(vectors)
            wigner = self.wigner(inputs["wigner"])
            found = {"lengths": lengths, "wigner": wigner}
        else:
            found = self.frames(vectors)
            lengths, wigner = found["lengths"], found["wigner"]
        weighted = (wigner,) if self.weighted else ()
        reached = self.envelope(lengths, *graph, mask, *weighted)
        if not weighted:
            # Keras takes an empty list of shapes for a shape.
            del reached["weighted_wigner"]
        return {**found, **reached, "radial": self.radial(lengths, *graph)}


def _size_of(radial):
    """Numbers per edge that a radial layer returns."""
    edges = keras.KerasTensor((None, None), "float32")
    atoms = keras.KerasTensor((None,), "int32")
    neighbors = keras.KerasTensor((None, None), "int32")
    return int(radial(edges, atoms, neighbors).shape[-1])
