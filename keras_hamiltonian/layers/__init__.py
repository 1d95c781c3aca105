"""Layers, one per file."""

from keras_hamiltonian.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AtomUpdate": "atom_update",
        "BondEmbedding": "bond_embedding",
        "BondEnds": "bond_ends",
        "BondEnvelope": "bond_envelope",
        "BondGeometry": "bond_geometry",
        "BondNorm": "bond_norm",
        "BondUpdate": "bond_update",
        "ChannelwiseConvolution": "channelwise_convolution",
        "EquivariantConvolution": "equivariant_convolution",
        "EquivariantLinear": "equivariant_linear",
        "EquivariantNorm": "equivariant_norm",
        "Gate": "gate",
        "HermitianAverage": "hermitian_average",
        "HoppingReadout": "hopping_readout",
        "InteractionGroup": "interaction_group",
        "MessageSum": "message_sum",
        "OnsiteReadout": "onsite_readout",
        "PackBonds": "pack_bonds",
        "PackWigner": "pack_wigner",
        "RadialFeatures": "radial_features",
        "SelfTensorProduct": "self_tensor_product",
        "SO2Convolution": "so2_convolution",
        "SO2Linear": "so2_linear",
        "SpeciesEmbedding": "species_embedding",
        "SphericalHarmonics": "spherical_harmonics",
        "TensorProduct": "tensor_product",
        "TwoCentreBaseline": "two_centre_baseline",
    },
)
