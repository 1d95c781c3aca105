"""What all stages share: their inputs and how they are saved."""

import dataclasses
import functools

import keras

from keras_hamiltonian.conventions import CORRECTIONS
from keras_hamiltonian.layers.parts import inherited_defaults
from keras_hamiltonian.layers.parts import recorded_arguments
from keras_hamiltonian.layers.parts import to_config
from keras_hamiltonian.losses.elements import metrics_of_elements
from keras_hamiltonian.losses.elements import of_elements
from keras_hamiltonian.models.presets import PresetMethods
from keras_hamiltonian.models.provenance import electrons_of_composition
from keras_hamiltonian.models.summary import print_summary
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.physics.energy_shift import EnergyShift
from keras_hamiltonian.physics.overlap import TwoCentreOverlap
from keras_hamiltonian.strategy import step
from keras_hamiltonian.uncertainty.error_estimate import ErrorEstimate

# Of the configuration and the weights' names in `.keras` files. 1: package
# version 0.1.0, read by way of `kh.load_model`.
FORMAT_VERSION = 2
# Outputs that losses and metrics of `compile` see; a stage may have others.
BLOCKS = ("onsite", "hopping")


def graph_inputs(dtype="float32", initial=None):
    """Symbolic inputs of a stage: the batch of `HamiltonianDataset`.

    Args:
        dtype: str. Float type of vectors, masks and blocks.
        initial: shape of one block (`OrbitalBasis.block_shape`), for a stage
            that takes H⁰; `None` for others.

    Returns:
        Dict of `keras.Input`: `species` `(N,)`, `edge_vectors` `(N, M, 3)`
        (Å), `neighbors`, `reverse_edge`, `edge_mask` `(N, M)`, `structure`
        `(N,)`, `common_neighbors` `(N, M + 1, M + 1)`; with H⁰
        `initial_onsite` `(N, ...)`, `initial_hopping` `(N, M, ...)` (eV).
    """
    inputs = {
        "species": keras.Input((), dtype="int32", name="species"),
        "edge_vectors": keras.Input(
            (None, 3), dtype=dtype, name="edge_vectors"
        ),
        "neighbors": keras.Input((None,), dtype="int32", name="neighbors"),
        "reverse_edge": keras.Input(
            (None,), dtype="int32", name="reverse_edge"
        ),
        "edge_mask": keras.Input((None,), dtype=dtype, name="edge_mask"),
        "structure": keras.Input((), dtype="int32", name="structure"),
        "common_neighbors": keras.Input(
            (None, None), dtype="int32", name="common_neighbors"
        ),
    }
    if initial is not None:
        for name, leading in (("onsite", ()), ("hopping", (None,))):
            inputs[f"initial_{name}"] = keras.Input(
                (*leading, *initial), dtype=dtype, name=f"initial_{name}"
            )
    return inputs


class Stage(PresetMethods, keras.Model):
    """A functional model of blocks, saved with all that a prediction needs.

    A subclass takes `basis`, `reaches` and, unless it is always `"none"`,
    `spin`; it builds the graph from a backbone and a readout and calls
    `super().__init__(inputs, outputs)`. Its arguments are recorded: numbers,
    text, dicts, lists, layers, and classes by name.

    Attributes:
        overlap: function from `ase.Atoms` to the overlap of a new structure, or
            `None`: that of `zeroth_step` or, without one, the
            `TwoCentreOverlap` that was set.
        zeroth_step: `ZerothStep`, or `None`. A model that has one computes
            H⁰ of new structures itself, and the overlap exactly.
        provenance: dict, JSON values only. Where the model comes from:
            `training_provenance` makes it.
        overlap_threshold: float, or `None`. Combinations of orbitals that
            bands of its predictions leave out; see `BlochMatrices` and
            `kh.evaluation.choose_overlap_threshold`.
        energy_shift: `EnergyShift`, or `None`, of a model that takes H⁰: its
            blocks have the energy zero of H⁰, and `kh.predict` adds μS.
        error_estimate: `kh.uncertainty.ErrorEstimate`, or `None`: what the
            model knows of its own errors.
        breaks_symmetry: bool of the class. Whether predictions depend on how
            the crystal is turned; then their spread over rotations says
            something.

    All but the last are set after construction and stand in the `.keras` file.
    """

    zeroth_step = None
    provenance = None
    overlap_threshold = None
    energy_shift = None
    error_estimate = None
    joint_losses = ()
    joint_metrics = ()
    breaks_symmetry = False
    _overlap = None
    _atom_features = None

    def __new__(cls, *args, **kwargs):
        stage = super().__new__(cls, *args, **kwargs)
        # Keras would wrap dicts and lists if it saw them.
        object.__setattr__(stage, "_call", (args, kwargs))
        return stage

    @functools.cached_property
    def arguments(self):
        """What the stage was made with, defaults included: JSON values."""
        kind = type(self)
        recorded = recorded_arguments(kind, *self._call)
        return {**inherited_defaults(kind), **recorded}

    def stages(self):
        """The stages that run one after the other: here this one alone."""
        return [self]

    @property
    def basis(self):
        """The `OrbitalBasis` of the blocks."""
        return OrbitalBasis(self.arguments["basis"])

    @property
    def reaches(self):
        """Dict from element symbol to the reach of its orbitals, in Å."""
        return dict(self.arguments["reaches"])

    @property
    def overlap(self):
        """Function from `ase.Atoms` to the overlap, or `None`; see `Stage`."""
        if self.zeroth_step is not None:
            return self.zeroth_step.overlap
        return self._overlap

    @overlap.setter
    def overlap(self, value):
        self._overlap = value

    @property
    def is_hermitian(self):
        """Whether blocks are Hermitian by construction."""
        readout = getattr(self, "readout", None)
        return getattr(readout, "hermitian", True)

    @property
    def is_symmetric(self):
        """Whether predictions rotate exactly with the crystal."""
        return not any(stage.breaks_symmetry for stage in self.stages())

    @property
    def spin(self):
        """Spin layout of the blocks: `"none"` or `"noncollinear"`."""
        return self.arguments.get("spin", "none")

    @property
    def takes_initial(self):
        """Whether H⁰, the zeroth-step Hamiltonian, is among the inputs."""
        return self.arguments.get("initial") is not None

    @property
    def spin_free(self):
        """Whether the network's own part is the same for both spins.

        Spin-orbit terms of H⁰ do not depend on the density, so without
        magnetism a correction of H⁰ has none (Yin et al., arXiv 2509.19877).
        """
        arguments = self.arguments
        corrects = arguments.get("initial") in CORRECTIONS
        return self.spin != "none" and arguments.get("spin_free", corrects)

    @property
    def feature_irreps(self):
        """Irreps of the features of the atoms of each group: list of str."""
        return [str(irreps) for irreps in self.backbone.irreps_out]

    @functools.cached_property
    def feature_outputs(self):
        """A `keras.Model` of the blocks and, in the same pass, of the features
        of the atoms: `atoms_k` `(N, dim)`, for the groups k = 1, 2, ...

        Raises:
            ValueError: if the stage keeps no features, see `FirstStage`.
        """
        if self._atom_features is None:
            raise ValueError(
                f"The stage {self.name!r} keeps no features of its atoms. "
                "Derive it from `FirstStage`."
            )
        outputs = {name: self.output[name] for name in BLOCKS}
        for k, x in enumerate(self._atom_features.tensors, start=1):
            outputs[f"atoms_{k}"] = x
        return keras.Model(self.input, outputs, name=f"{self.name}_outputs")

    def num_electrons(self, atoms):
        """Valence electrons of a structure, as its training set tells.

        Args:
            atoms: `ase.Atoms`.

        Returns:
            float per cell, or `None`; see `electrons_of_composition`.
        """
        return electrons_of_composition(self.provenance, atoms)

    def check_elements(self, atoms, basis=None):
        """Checks that the model was made for the elements of a structure.

        Args:
            atoms: `ase.Atoms`.
            basis: `OrbitalBasis` of the structure's own matrices, if it has
                any.

        Raises:
            ValueError: naming the elements, or the shells, that are missing.
        """
        own = self.basis
        missing = sorted(set(atoms.get_chemical_symbols()) - set(own.symbols))
        if missing:
            known = own.to_dict()
            known = ", ".join(f"{s} ({known[s]})" for s in own.symbols)
            raise ValueError(
                f"The model {self.name!r} knows {known}; "
                f"{atoms.get_chemical_formula()} also has "
                f"{', '.join(missing)}. Train on structures with "
                f"{'this element' if len(missing) == 1 else 'these elements'}."
            )
        for symbol in sorted(set(atoms.get_chemical_symbols())):
            shells = None if basis is None else basis.shells.get(symbol)
            if shells not in (None, own.shells[symbol]):
                raise ValueError(
                    f"The model {self.name!r} gives {symbol} the shells "
                    f"{own.to_dict()[symbol]}, the structure "
                    f"{basis.to_dict()[symbol]}. Compute the structure in the "
                    "model's basis, or train on this one."
                )

    def check_dataset(self, dataset):
        """Checks that a data set has the model's basis and spin layout.

        `fit`, `evaluate`, `predict` and `adapt` ask for it.

        Args:
            dataset: `HamiltonianDataset` or what is made of one, such as
                `StageFeatures`; anything else is taken as it is.

        Raises:
            ValueError: saying what differs.
        """
        while hasattr(dataset, "dataset"):
            dataset = dataset.dataset
        basis = getattr(dataset, "basis", None)
        if not isinstance(basis, OrbitalBasis):
            return
        if basis != self.basis:
            way_out = "Compute the structures in the model's basis"
            if self.basis.covers(basis):
                way_out = "Make the data set with `basis=model.basis`"
            raise ValueError(
                f"The model {self.name!r} was made for the shells "
                f"{self.basis.to_dict()}, the data set has "
                f"{basis.to_dict()}. {way_out}, or train a model of its own."
            )
        if dataset.spin != self.spin:
            raise ValueError(
                f"The model {self.name!r} was made for spin={self.spin!r}, "
                f"the data set has spin={dataset.spin!r}. Train one model per "
                "spin layout."
            )
        if self.takes_initial and not getattr(dataset, "initial", True):
            raise ValueError(
                f"The model {self.name!r} takes H⁰, the data set does not hold "
                "it. Make the data set with `initial=True`."
            )

    def adapt(self, dataset):
        """Fits what has a closed form: baseline and scales of the channels.

        Args:
            dataset: `HamiltonianDataset` or iterable of its batches.
        """
        self.check_dataset(dataset)
        self.readout.adapt(dataset)

    def summary(self, print_fn=print):
        """Prints the parts, what each is, and how many weights it has.

        Args:
            print_fn: function of a str, called once.
        """
        print_summary(self, print_fn)

    @property
    def metrics(self):
        """See `keras.Model.metrics`; with those of the joint metrics."""
        return [*super().metrics, *(m.metric for m in self.joint_metrics)]

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        *,
        joint_losses=(),
        joint_metrics=(),
        metrics=None,
        weighted_metrics=None,
        **kwargs,
    ):
        """See `keras.Model.compile`.

        Args:
            optimizer: of `keras.Model.compile`.
            loss: the same. Of this package; or any other of two numbers, which
                is applied to each element, in meV (see `ElementLoss`).
            joint_losses: sequence of functions of the inputs, targets, outputs
                and weights of a batch, dicts all of them, that return a
                scalar in meV. What `loss` cannot say, because it sees one
                output at a time; added in training, not in validation. Sums
                over structures go through `kh.strategy.total`.
            joint_metrics: sequence of `kh.losses.TrainingError`, or of other
                objects with `metric` and `update`: what `metrics` cannot say.
            metrics, weighted_metrics: of `keras.Model.compile`; those of both
                are weighted, because padding is no element (see
                `ElementMetric`). One that is no dict is of both blocks.
            **kwargs: of `keras.Model.compile`.
        """
        self.joint_losses = tuple(joint_losses)
        self.joint_metrics = tuple(joint_metrics)
        found = [
            metrics_of_elements(some, BLOCKS)
            for some in (metrics, weighted_metrics)
            if some is not None
        ]
        kwargs["weighted_metrics"] = found and {
            name: [m for some in found for m in some.get(name, [])]
            for name in BLOCKS
        }
        super().compile(optimizer, of_elements(loss), **kwargs)

    def compile_from_config(self, config):
        """See `keras.Model.compile_from_config`; without joint losses."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def train_step(self, *args, **kwargs):
        """See `keras.Model`; of all processes that train together."""
        with step():
            return super().train_step(*args, **kwargs)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """See `keras.Model.compute_loss`; with the joint losses."""
        blocks = [_blocks(found) for found in (y, y_pred, sample_weight)]
        loss = super().compute_loss(x, *blocks, training)
        for joint_loss in self.joint_losses if training else ():
            loss = loss + joint_loss(x, y, y_pred, sample_weight)
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """See `keras.Model.compute_metrics`; with the joint metrics."""
        for metric in self.joint_metrics:
            metric.update(x, y, y_pred, sample_weight)
        blocks = [_blocks(found) for found in (y, y_pred, sample_weight)]
        return super().compute_metrics(x, *blocks)

    def fit(self, x=None, *args, **kwargs):
        """See `keras.Model.fit`.

        Raises:
            ValueError: for mixed precision on torch; and see `check_dataset`.
        """
        _check_precision(self)
        self.check_dataset(x)
        self.check_dataset(kwargs.get("validation_data"))
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """See `keras.Model.evaluate`."""
        self.check_dataset(x)
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """See `keras.Model.predict`."""
        self.check_dataset(x)
        return super().predict(x, *args, **kwargs)

    def get_config(self):
        return {
            "name": self.name,
            **recorded_arguments(type(self), *self._call),
            "format_version": FORMAT_VERSION,
            "overlap": self._overlap and self._overlap.to_dict(),
            "provenance": to_config(self.provenance),
            "overlap_threshold": self.overlap_threshold,
            "energy_shift": self.energy_shift and self.energy_shift.to_dict(),
            "error_estimate": (
                self.error_estimate and self.error_estimate.to_dict()
            ),
            "zeroth_step": self.zeroth_step and self.zeroth_step.to_dict(),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        check_version(config.pop("format_version", 1))
        overlap = config.pop("overlap", None)
        provenance = config.pop("provenance", None)
        threshold = config.pop("overlap_threshold", None)
        shift = config.pop("energy_shift", None)
        estimate = config.pop("error_estimate", None)
        zeroth_step = config.pop("zeroth_step", None)
        _check_types(overlap_threshold=threshold, provenance=provenance)
        stage = cls(**config)
        if overlap is not None:
            stage.overlap = TwoCentreOverlap.from_dict(overlap)
        stage.provenance = provenance
        if threshold is not None:
            stage.overlap_threshold = threshold
        if shift is not None:
            stage.energy_shift = EnergyShift.from_dict(shift)
        if estimate is not None:
            stage.error_estimate = ErrorEstimate.from_dict(estimate)
        if zeroth_step is not None:
            # Here, because it imports numba.
            from keras_hamiltonian.superposition.zeroth_step import ZerothStep

            stage.zeroth_step = ZerothStep.from_dict(zeroth_step)
        return stage


@dataclasses.dataclass
class HiddenTensors:
    """Symbolic tensors, out of Keras' sight: it would track dicts and lists."""

    tensors: dict | list


def check_initial(initial):
    """Raises for what is no value of the argument `initial` of a stage."""
    if initial not in (None, "input", *CORRECTIONS):
        raise ValueError(
            '`initial` is "correct" (H⁰ is added at the output), "input" (its '
            'blocks are features), "both", or None. Received: '
            f"{initial!r}."
        )


def _blocks(found):
    """The blocks among outputs, targets or weights."""
    if not isinstance(found, dict):
        return found
    return {name: found[name] for name in BLOCKS if name in found}


def check_version(version):
    """Raises for a file of another format than this package writes."""
    if version > FORMAT_VERSION:
        raise ValueError(
            f"The model has the format {version} of a newer version of the "
            f"package; this one reads up to format {FORMAT_VERSION}. Install "
            "a newer keras_hamiltonian."
        )
    if version < FORMAT_VERSION:
        raise ValueError(
            f"The model has the format {version} of an older version of the "
            "package. Read it with `kh.load_model`, and save it again."
        )


def _check_precision(model):
    """Refuses to train with mixed precision where Keras cannot."""
    names = [stage.arguments.get("dtype") for stage in model.stages()]
    mixed = [name for name in names if str(name).startswith("mixed")]
    if mixed and keras.config.backend() == "torch":
        raise ValueError(
            f"On torch a stage of dtype {mixed[0]!r} predicts, and cannot be "
            "trained: Keras 3 builds its losses on symbolic weights, which are "
            "float32 beside features in half precision. Train it in float32, "
            "or on another backend."
        )


def _check_types(overlap_threshold, provenance):
    """Of what a file says beside the arguments of a stage."""
    is_number = isinstance(overlap_threshold, int | float | None)
    if not is_number or not isinstance(provenance, dict | None):
        raise ValueError(
            "`overlap_threshold` is a number and `provenance` a dict, or None. "
            f"Received: {overlap_threshold!r} and {provenance!r}."
        )
