"""Equivariant operations: functions of tensors and nodes of Keras graphs.

See README.md in this folder for the mathematics and for which is for what.
"""

# Not lazy: a function and the file it is defined in have the same name, and
# importing the file later would put the file in the place of the function.
from keras_hamiltonian.ops.channelwise_convolution import (
    channelwise_convolution,
)
from keras_hamiltonian.ops.edges import reverse_edges
from keras_hamiltonian.ops.edges import rotate_into_edges
from keras_hamiltonian.ops.edges import sum_over_edges
from keras_hamiltonian.ops.rotate_irreps import rotate_irreps
from keras_hamiltonian.ops.so2_convolution import so2_convolution
from keras_hamiltonian.ops.so2_kernels import so2_kernels
from keras_hamiltonian.ops.so2_linear import so2_linear
from keras_hamiltonian.ops.spherical_harmonics import spherical_harmonics
from keras_hamiltonian.ops.splines import cubic_splines
from keras_hamiltonian.ops.symmetric_contraction import symmetric_contraction
from keras_hamiltonian.ops.tensor_product import tensor_product
from keras_hamiltonian.ops.wigner_d import edge_frames
from keras_hamiltonian.ops.wigner_d import wigner_d

__all__ = [
    "edge_frames",
    "channelwise_convolution",
    "cubic_splines",
    "reverse_edges",
    "rotate_into_edges",
    "rotate_irreps",
    "so2_convolution",
    "so2_kernels",
    "so2_linear",
    "spherical_harmonics",
    "sum_over_edges",
    "symmetric_contraction",
    "tensor_product",
    "wigner_d",
]
