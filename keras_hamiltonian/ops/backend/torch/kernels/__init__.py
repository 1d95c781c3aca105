"""Fused kernels, under the names of the operations they stand in for."""

from keras_hamiltonian.ops.backend.torch.kernels.bond_rotation import (
    rotate_into_bonds as rotate_into_bonds,
)
from keras_hamiltonian.ops.backend.torch.kernels.bond_rotation import (
    sum_over_bonds as sum_over_bonds,
)
from keras_hamiltonian.ops.backend.torch.kernels.convolution import (
    channelwise_convolution as channelwise_convolution,
)
