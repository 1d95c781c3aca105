"""Models, how they are read, and where they come from."""

from keras_hamiltonian.models.block_readout import BlockReadout
from keras_hamiltonian.models.composite_layer import CompositeLayer
from keras_hamiltonian.models.equivariant_backbone import EquivariantBackbone
from keras_hamiltonian.models.equivariant_stage import EquivariantStage
from keras_hamiltonian.models.equivariant_transformer_stage import (
    EquivariantTransformerStage,
)
from keras_hamiltonian.models.feature_backbone import FeatureBackbone
from keras_hamiltonian.models.first_stage import FirstStage
from keras_hamiltonian.models.graph_geometry import GraphGeometry
from keras_hamiltonian.models.hamiltonian_cascade import HamiltonianCascade
from keras_hamiltonian.models.k_space_dataset import KSpaceDataset
from keras_hamiltonian.models.loading import load_model
from keras_hamiltonian.models.provenance import training_provenance
from keras_hamiltonian.models.refinement_stage import RefinementStage
from keras_hamiltonian.models.refinement_stage import refinement_inputs
from keras_hamiltonian.models.rotated_dataset import RotatedDataset
from keras_hamiltonian.models.rotation_average import average_over_rotations
from keras_hamiltonian.models.stage import Stage
from keras_hamiltonian.models.stage import graph_inputs
from keras_hamiltonian.models.stage_features import StageFeatures
from keras_hamiltonian.models.state_folder import StateFolder
from keras_hamiltonian.models.transformer_stage import (
    StandaloneTransformerStage,
)
from keras_hamiltonian.models.transformer_stage import TransformerStage

from_preset = Stage.from_preset

__all__ = [
    "BlockReadout",
    "CompositeLayer",
    "EquivariantBackbone",
    "EquivariantStage",
    "EquivariantTransformerStage",
    "FeatureBackbone",
    "FirstStage",
    "GraphGeometry",
    "HamiltonianCascade",
    "KSpaceDataset",
    "RefinementStage",
    "RotatedDataset",
    "Stage",
    "StageFeatures",
    "StandaloneTransformerStage",
    "StateFolder",
    "TransformerStage",
    "average_over_rotations",
    "from_preset",
    "graph_inputs",
    "load_model",
    "refinement_inputs",
    "training_provenance",
]
