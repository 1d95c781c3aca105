"""Fused kernels, under the names of the operations they stand in for."""

from keras_hamiltonian.ops.backend.torch.kernels.convolution import (
    channelwise_convolution as channelwise_convolution,
)
from keras_hamiltonian.ops.backend.torch.kernels.edge_rotation import (
    rotate_into_edges as rotate_into_edges,
)
from keras_hamiltonian.ops.backend.torch.kernels.edge_rotation import (
    sum_over_edges as sum_over_edges,
)
