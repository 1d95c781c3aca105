"""Every setting of a training, with unit, default and meaning."""

import importlib
import pathlib
import re
import tomllib
from typing import Annotated
from typing import Any
from typing import Literal

import pydantic
import yaml

from keras_hamiltonian.conventions import CORRECTIONS
from keras_hamiltonian.reading import load_yaml
from keras_hamiltonian.training.k_loss_settings import KLossSettings
from keras_hamiltonian.training.stage_classes import STAGES
from keras_hamiltonian.training.stage_classes import arguments_of
from keras_hamiltonian.training.stage_classes import check_options
from keras_hamiltonian.training.stage_classes import stage_class
from keras_hamiltonian.training.strict_settings import StrictSettings
from keras_hamiltonian.training.strict_settings import in_words

# Peaks that worked; a Transformer without symmetry wants the smaller one.
LEARNING_RATE = 1e-2
# Corrections of H⁰, first stage, `initial="both"`, decay 0, 0.3 and 1: 0.082,
# 0.072 and 0.100 meV of validation structures (graphene, 450 CPU s), 0.099 and
# 0.086 (MoS2, 400 s). Of H itself 0.3 costs 30 %.
CORRECTION_DECAY = 0.3
TRANSFORMER_LEARNING_RATE = 1e-3


class TrainingSettings(StrictSettings):
    """How `kh.train` trains.

    Each field has a default; an unknown name or a wrong value is an error
    that says what is allowed. Files are TOML or YAML with the same names:

        steps = 5000
        second_stage = "equivariant"
        [first_options]
        irreps = "32x0e + 16x1o + 8x2e"

    The budget is one of CPU seconds or of optimizer steps. Only a training by
    steps that was stopped ends in the very same weights as one that was not.

    A stage of your own is named `"package.module:Class"`, a subclass of
    `kh.models.Stage` in a module on the Python path. It is built as
    `Class(basis, reaches, spin=..., dtype=..., **first_options)`, and a
    second one as `Class.for_stage(stage, dtype=..., **second_options)`.

    Raises:
        ValueError: (`pydantic.ValidationError` is one) naming the setting, its
            value and what is allowed.

    Example:

    >>> TrainingSettings(steps=100).stage_budgets()
    {'first': 75.0, 'second': 25.0}
    """

    seconds: float | None = pydantic.Field(
        600.0,
        gt=0,
        description="Budget of all stages in CPU seconds of the process, data "
        "reading and validation included. Not used if `steps` is given.",
    )
    steps: int | None = pydantic.Field(
        None, ge=1, description="Budget of all stages in optimizer steps."
    )
    first_share: float = pydantic.Field(
        0.75,
        gt=0,
        lt=1,
        description="Fraction of the budget for the first stage. Without a "
        "second stage it gets all.",
    )
    joint_share: float = pydantic.Field(
        0.0,
        ge=0,
        lt=1,
        description="Fraction of the budget at the end in which both stages "
        "are trained together.",
    )
    first_stage: str = pydantic.Field(
        "equivariant",
        description='"equivariant" (EquivariantStage), or your own class, '
        '"package.module:Class".',
    )
    second_stage: str = pydantic.Field(
        "equivariant",
        description='"equivariant" keeps every symmetry '
        '(EquivariantTransformerStage), "transformer" learns it '
        '(TransformerStage), "none" trains the first stage alone; or your '
        'own class, "package.module:Class".',
    )
    initial: Literal["correct", "input", "both"] | None = pydantic.Field(
        None,
        description="What the first stage makes of H⁰, the zeroth-step "
        'Hamiltonian in the data: "correct", it predicts H - H⁰; "input", '
        'blocks of H⁰ are features; "both". Predictions then take H⁰ too.',
    )
    species: str | None = pydantic.Field(
        None,
        description="Folder of species files: OpenMX's DFT_DATA19, or one "
        "with its .pao and .vps, SIESTA's .ion.xml, or ABACUS' .orb and .upf "
        "files. H⁰ is computed from them, in training and, without any file, "
        'in predictions of the model. `initial` is then "both" unless set.',
    )
    species_input: str | None = pydantic.Field(
        None,
        description="With `species`, OpenMX input of one of the calculations, "
        "which says all that follows.",
    )
    species_orbitals: list[str] | None = pydantic.Field(
        None,
        description="With `species`, of each element, such as C6.0-s2p2d1; of "
        "SIESTA species labels, of ABACUS names of .orb files. By default all "
        "of the folder; of OpenMX the only .pao file of each element, with "
        "the shells of the data.",
    )
    species_functional: str | None = pydantic.Field(
        None,
        description="With `species`: PBE, LDA as PW92 or PZ81, or with the "
        "extra libxc others, such as PBEsol. By default PBE.",
    )
    species_spin_orbit: bool | None = pydantic.Field(
        None,
        description="With `species`, spin-orbit coupling. By default where "
        "the data have it.",
    )
    species_grid_cutoff: float | None = pydantic.Field(
        None,
        gt=0,
        description="With `species`, cut-off of the grid in Ry: that of the "
        "data. SIESTA's Mesh.Cutoff, four times ABACUS' ecutwfc. By default "
        "200.",
    )
    reaches: dict[str, Annotated[float, pydantic.Field(gt=0)]] = pydantic.Field(
        default_factory=dict,
        description="Where the orbitals of elements end, in Å, such as {C: "
        "3.175}: of those that the pairs of atoms in the data do not tell. By "
        "default estimated from these; with `species` those of the species.",
    )
    start_from: str | None = pydantic.Field(
        None,
        description="A .keras file, or a preset, whose weights are the start; "
        "elements of the data may be new. Stages, their options, `initial` and "
        "`dtype` are those of the file. Learning rates are then 0.005 unless "
        "set.",
    )
    freeze: list[str] = pydantic.Field(
        default_factory=list,
        description="With `start_from`, layers that do not train: a stage and "
        "the path of a layer in it, such as first/backbone/group_1, or first "
        "alone. Two-centre functions that the data contradict are fitted anew "
        "even so.",
    )
    first_options: dict[str, Any] = pydantic.Field(
        default_factory=dict,
        description="Arguments of the first stage beyond those that the data "
        "give, such as `irreps` and `num_groups`.",
    )
    second_options: dict[str, Any] = pydantic.Field(
        default_factory=dict,
        description="Arguments of the second stage beyond those that the "
        "first one gives, such as `channels` or `width`.",
    )
    dtype: Literal["float32", "float64"] = pydantic.Field(
        "float32", description="Type of the numbers in both stages."
    )
    loss: Literal["mean_absolute", "mean_squared"] = pydantic.Field(
        "mean_absolute",
        description="Mean absolute error in meV, or mean squared error in "
        "meV².",
    )
    trace_weight: float = pydantic.Field(
        0.25,
        ge=0,
        description="Weight of the traces, as a fraction of the loss, in "
        'stages with the option tracegrad: "trace" or "both".',
    )
    k_loss: KLossSettings | None = pydantic.Field(
        None,
        description="Loss between eigenstates, of all stages: `weight` (beside "
        "`loss`), `p`, `q`, `pq`, `gauge`, `diagonal`, `window`, `mesh`, "
        "`num_k_points`, `num_states`, `folder`. {} takes the defaults; off by "
        "default.",
    )
    first_learning_rate: float = pydantic.Field(
        1e-2, gt=0, description="Largest learning rate of the first stage."
    )
    second_learning_rate: float | None = pydantic.Field(
        None,
        gt=0,
        description="Largest learning rate of the second stage. By default "
        "0.01, for the transformer 0.001.",
    )
    joint_learning_rate: float = pydantic.Field(
        5e-4, gt=0, description="Largest learning rate of the joint training."
    )
    optimizer: Literal["muon", "adam"] = pydantic.Field(
        "muon",
        description='"muon" (kh.optimizers.Muon) takes orthogonal steps with '
        'the matrices of equivariant layers, "adam" is AdamW.',
    )
    first_weight_decay: float | None = pydantic.Field(
        None,
        ge=0,
        description="Decay of the first stage's weights per step, in units of "
        "the learning rate. By default 0.3 where it predicts "
        "corrections of H⁰, else 0: the error of corrections is variance.",
    )
    second_weight_decay: float = pydantic.Field(
        0.5,
        ge=0,
        description="The same of the second stage; also of the joint training.",
    )
    warmup_steps: int = pydantic.Field(
        100,
        ge=0,
        description="Steps in which the learning rate of a stage rises.",
    )
    clipnorm: float = pydantic.Field(
        1000.0,
        gt=0,
        description="Largest norm of the gradient, in meV per unit of weight.",
    )
    batch_size: int = pydantic.Field(
        1,
        ge=1,
        description="Structures per optimizer step, of each process or device "
        "that takes part.",
    )
    seed: int = pydantic.Field(
        42, ge=0, description="Seed of the weights and of the data's order."
    )
    validation_freq: int = pydantic.Field(
        10, ge=1, description="Epochs between two validations."
    )
    checkpoint_freq: int = pydantic.Field(
        5,
        ge=1,
        description="Epochs between two checkpoints, from which a training "
        "that was stopped resumes.",
    )
    cache: bool = pydantic.Field(
        True,
        description="Whether batches and the first stage's features stay in "
        "memory. Turn it off for sets that are larger.",
    )
    read_ahead: int = pydantic.Field(
        0,
        ge=0,
        description="Batches that threads read while a step runs, for sets "
        "that do not stay in memory.",
    )

    @classmethod
    def read(cls, path):
        """Reads settings from a file.

        Args:
            path: str or path, `.toml`, `.yaml` or `.yml`.

        Returns:
            `TrainingSettings`.

        Raises:
            ValueError: naming the file, and the setting that is wrong.
        """
        path = pathlib.Path(path)
        if path.suffix not in (".toml", ".yaml", ".yml"):
            raise ValueError(
                "Settings are read from .toml, .yaml and .yml files. "
                f"Received: {path}."
            )
        try:
            text = path.read_text()
            toml = path.suffix == ".toml"
            values = tomllib.loads(text) if toml else load_yaml(text)
        except (OSError, tomllib.TOMLDecodeError, yaml.YAMLError) as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        if not isinstance(values, dict | None):
            raise ValueError(
                f"{path} holds no settings: expected lines such as "
                f"`seed: 42`, found {type(values).__name__}."
            )
        try:
            return cls(**(values or {}))
        except pydantic.ValidationError as error:
            raise ValueError(f"{path}: {in_words(error)}") from error

    def stage_budgets(self):
        """Seconds or steps of each stage that is trained, in order.

        Returns:
            Dict from `"first"`, `"second"`, `"joint"` to float.
        """
        total = float(self.steps or self.seconds)
        if self.second_stage == "none":
            return {"first": total}
        first, joint = self.first_share, self.joint_share
        if "first" in self.freeze:
            first = 0.0
        shares = {"first": first, "second": 1 - first - joint, "joint": joint}
        return {name: x * total for name, x in shares.items() if x > 0}

    def learning_rate(self, stage):
        """Largest learning rate of `"first"`, `"second"` or `"joint"`."""
        rate = getattr(self, f"{stage}_learning_rate")
        if rate is not None:
            return rate
        is_transformer = self.second_stage == "transformer"
        return TRANSFORMER_LEARNING_RATE if is_transformer else LEARNING_RATE

    def weight_decay(self, stage):
        """Decay of the weights of `"first"`, `"second"` or `"joint"`."""
        if stage != "first":
            return self.second_weight_decay
        if self.first_weight_decay is not None:
            return self.first_weight_decay
        return CORRECTION_DECAY if self.initial in CORRECTIONS else 0.0

    def own_files(self):
        """Files that a training depends on beside its data.

        Returns:
            List of paths: the model to start from, and modules of names such
            as `"package.module:Class"` in the stages and their options.
        """
        stages = [self.first_stage, self.second_stage]
        texts = _texts([*stages, self.first_options, self.second_options])
        modules = {
            text.partition(":")[0]
            for text in texts
            if re.fullmatch(r"[\w.]+:\w+", text)
        }
        found = [importlib.import_module(name) for name in sorted(modules)]
        files = [getattr(module, "__file__", None) for module in found]
        if self.start_from:
            from keras_hamiltonian.models.presets import model_file

            files.append(model_file(self.start_from))
        return [pathlib.Path(file) for file in files if file]

    def species_settings(self, prefix=""):
        """Settings beside `species` that are given.

        Args:
            prefix: str. Before their names.

        Returns:
            Dict, arguments of `data_tools.species.read_zeroth_step`.
        """
        names = ("input", "orbitals", "functional", "spin_orbit", "grid_cutoff")
        values = {n: getattr(self, f"species_{n}") for n in names}
        return {prefix + n: x for n, x in values.items() if x is not None}

    @pydantic.field_validator(*STAGES)
    @classmethod
    def _check_stage(cls, name, info):
        # Keras is imported where there is something to check.
        if name not in STAGES[info.field_name]:
            stage_class(info.field_name, name)
        return name

    @pydantic.model_validator(mode="before")
    @classmethod
    def _choose(cls, values):
        if values.get("steps") is not None and "seconds" not in values:
            values = {**values, "seconds": None}
        return values

    @pydantic.model_validator(mode="after")
    def _check_together(self):
        if self.species and not self.start_from and self.initial is None:
            # Not among the fields that are set: a stage that is given has its
            # own.
            object.__setattr__(self, "initial", "both")
        if (self.seconds is None) == (self.steps is None):
            raise ValueError(
                "Give one budget, `seconds` or `steps`. Received: seconds="
                f"{self.seconds}, steps={self.steps}."
            )
        if self.species is None and self.species_settings():
            raise ValueError(
                f"{', '.join(self.species_settings('species_'))}: these go "
                "with `species`, a folder. Give it as well."
            )
        if self.species is not None and self.reaches:
            raise ValueError(
                "`species` say themselves where orbitals end. Leave `reaches` "
                f"out. Received: {self.reaches}."
            )
        if "first" in self.freeze and self.second_stage == "none":
            raise ValueError(
                "The first stage is frozen, and the settings have no second "
                "one: there is nothing to train. Freeze layers of it, such as "
                "first/backbone."
            )
        if self.first_share + self.joint_share >= 1:
            raise ValueError(
                "`first_share` and `joint_share` leave nothing to the second "
                f"stage: {self.first_share} + {self.joint_share} is not below "
                '1. For no second stage set second_stage="none".'
            )
        if self.second_stage == "none" and (
            self.second_options or self.joint_share
        ):
            raise ValueError(
                "Without a second stage there are no `second_options` and no "
                f"`joint_share`. Received: {self.second_options}, "
                f"{self.joint_share}."
            )
        check_options("first_stage", self.first_stage, self.first_options)
        check_options("second_stage", self.second_stage, self.second_options)
        if self.initial is not None:
            stage = stage_class("first_stage", self.first_stage)
            if "initial" not in arguments_of(stage):
                raise ValueError(
                    f"{stage.__name__} has no argument `initial`, so it takes "
                    "no H⁰. Leave `initial` out, or add the argument (see "
                    "`kh.models.FirstStage`)."
                )
        return self


def _texts(value):
    """All text in nested dicts and lists."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return []
    return [text for item in value for text in _texts(item)]
