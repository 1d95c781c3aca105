"""A training that begins with the weights of a saved model."""

import pathlib

import keras
import numpy as np

from keras_hamiltonian.layers.geometry.radial_features import RadialFeatures
from keras_hamiltonian.layers.named_objects import object_name
from keras_hamiltonian.layers.readout.projector_sum import ProjectorSum
from keras_hamiltonian.layers.readout.two_centre_baseline import (
    TwoCentreBaseline,
)
from keras_hamiltonian.models.loading import load_model
from keras_hamiltonian.models.weight_labels import shell_labels
from keras_hamiltonian.models.weight_labels import weight_labels
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.training.freezing import freeze
from keras_hamiltonian.training.settings import TrainingSettings
from keras_hamiltonian.training.stage_classes import GIVEN
from keras_hamiltonian.training.stage_classes import STAGES
from keras_hamiltonian.training.stage_classes import arguments_of
from keras_hamiltonian.training.stage_classes import stage_class
from keras_hamiltonian.training.strict_settings import check_names

# Budget and largest learning rates of a fine-tuning, unless set.
FINE_TUNING = {
    "first_learning_rate": 5e-3,
    "second_learning_rate": 5e-3,
}
# Reaches of half a bohr and more differ; smaller differences are rounding.
TOLERANCE = 1e-3


class Start:
    """What a training takes over from a saved model.

    The stages are made as those of the file, for the elements of the file and
    of the data. Every weight that both have is copied: those of the elements
    of the file, shell by shell, and those that no element owns. What belongs
    to a new element is left as it was made. `adapt` then fits two-centre
    functions and scales of new elements to what those of the file leave. The
    latter stay, because the weights were trained on what they leave, unless
    the new data contradict them (`two_centre_fit.Known`): the onsite functions
    of a monolayer know nothing of a second layer, and 45 steps on three
    structures of bilayer graphene end at 3.8 meV with them.

    Args:
        settings: `TrainingSettings` with `start_from`.

    Attributes:
        model: `Stage` of the file.
        settings: `TrainingSettings`, completed by what the file says of the
            stages, and by learning rates for fine-tuning where none are set.

    Raises:
        ValueError: if the file is no model, or the settings ask for other
            stages.
    """

    def __init__(self, settings):
        self.path = pathlib.Path(settings.start_from)
        self.model = load_model(self.path)
        self.settings = self._complete(settings)
        # A wrong name is found before the budget begins.
        stages = dict(zip(("first", "second"), self.model.stages()))
        if not self.has_second_stage:
            stages.pop("second", None)
        for name in settings.freeze:
            if name.startswith("second/") and "second" not in stages:
                raise ValueError(
                    f"`freeze` names {name!r}, and no second stage is taken "
                    f"from {self.path}: there are no trained weights to keep."
                )
        freeze(stages, settings.freeze)

    def grown(self, store, reaches):
        """Basis and reaches of a stage for the file's elements and the data's.

        Args:
            store: `HamiltonianStore`.
            reaches: dict. Reaches of the elements in the data, Å.

        Returns:
            Two dicts.

        Raises:
            ValueError: if spin, orbitals or reaches differ.
        """
        known = self.model.reaches
        for symbol, reach in sorted(reaches.items()):
            if reach > known.get(symbol, reach) + TOLERANCE:
                raise ValueError(
                    f"Orbitals of {symbol} reach {reach:.3f} Å in the data and "
                    f"{known[symbol]:.3f} Å in {self.path}. Compute the data "
                    "in the basis of the model, or leave out `start_from`."
                )
        return self.basis(store).to_dict(), {**reaches, **known}

    def options(self, number, basis, reaches):
        """Arguments with which new elements leave the features as they are.

        Args:
            number: int. Of the stage of the file.
            basis, reaches: as `grown` returns them.

        Returns:
            Dict.

        Raises:
            ValueError: if the stage has no argument for it.
        """
        source = self.model.stages()[number]
        found = {}
        shells = OrbitalBasis(basis).table_shells
        if number == 0 and shells != source.basis.table_shells:
            # Readouts get more channels, of the same features.
            found["final_irreps"] = source.feature_irreps[-1]
        largest = max(source.reaches.values())
        if max(reaches.values()) > largest and not source.arguments["radial"]:
            found["radial"] = {
                "class": object_name(RadialFeatures),
                "reach": 2 * largest,
            }
        check_names(
            found,
            f"arguments of {type(source).__name__} that new elements need",
            arguments_of(type(source)),
        )
        return found

    def basis(self, store):
        """`OrbitalBasis` of the elements of the file and of a store.

        Raises:
            ValueError: if the spin layouts, or orbitals of an element, differ.
        """
        if store.spin != self.model.spin:
            raise ValueError(
                f"{self.path} was made for spin={self.model.spin!r}, the data "
                f"have spin={store.spin!r}. Start from a model of this spin "
                "layout."
            )
        ours, theirs = store.basis, self.model.basis
        for symbol in sorted(set(ours.shells) & set(theirs.shells)):
            if ours.shells[symbol] != theirs.shells[symbol]:
                raise ValueError(
                    f"{symbol} has the orbitals {ours.to_dict()[symbol]} in "
                    f"the data, and {theirs.to_dict()[symbol]} in {self.path}. "
                    "Compute the data in the basis of the model."
                )
        return theirs.union(ours)

    def copy(self, stage, number=0):
        """Copies weights into a new stage.

        Args:
            stage: `Stage`.
            number: int. Of the stage of the file.

        Raises:
            ValueError: if a weight has another shape for another reason than
                elements and shells, or distances are cut elsewhere.
        """
        source = self.model.stages()[number]
        ours, theirs = weight_labels(stage), weight_labels(source)
        known = {weight.path: weight for weight in source.weights}
        for weight in stage.weights:
            axes = ours.get(weight.path)
            value = _array(weight)
            if weight.path in known:
                old = _array(known[weight.path])
                here, there = self._common(
                    weight, axes, value, theirs.get(weight.path), old
                )
                value[here] = old[there]
            else:
                # A model of one element has no embedding of pairs: zero.
                one = (tuple(source.basis.symbols) * 2,)
                value[[pair in one for pair in axes[0]]] = 0
            weight.assign(value)
        self._keep(stage, source)

    def complete(self, stage):
        """Gives a new first stage the overlap of the file's elements, too.

        Args:
            stage: `Stage`, with the overlap of the data, if they have one.
        """
        if stage.zeroth_step is not None:
            return
        known = self.model.overlap
        if stage.overlap is None or known is None:
            stage.overlap = stage.overlap or known
        else:
            stage.overlap = known.joined(stage.overlap)

    def _common(self, weight, ours, value, theirs, old):
        """Indices of what two arrays have in common, in each of them."""
        ours = ours or [None] * value.ndim
        theirs = theirs or [None] * old.ndim
        pairs = []
        for k, (a, b) in enumerate(zip(ours, theirs)):
            a = list(range(value.shape[k]) if a is None else a)
            b = list(range(old.shape[k]) if b is None else b)
            if ours[k] is None and len(a) != len(b):
                raise ValueError(
                    f"The weight {weight.path} has the shape {old.shape} in "
                    f"{self.path}, and {value.shape} for the elements of the "
                    "data. Layers of your own cannot get new elements, nor "
                    "those of a Transformer new shells, nor any layer shells "
                    "of a higher degree: leave out `start_from`."
                )
            place = {label: n for n, label in enumerate(b)}
            both = [(n, place[x]) for n, x in enumerate(a) if x in place]
            pairs.append(tuple(zip(*both)))
        return (np.ix_(*side) for side in zip(*pairs))

    def _keep(self, stage, source):
        """What `adapt` is not to fit anew."""
        symbols, old = stage.basis.symbols, source.basis
        shells = shell_labels(stage.basis.table_shells)
        known = set(shell_labels(old.table_shells))
        rows = [s in known for s in shells for _ in range(2 * s[0] + 1)]
        for layer, other in zip(
            stage._flatten_layers(), source._flatten_layers(), strict=True
        ):
            if getattr(layer, "reach", None) != getattr(other, "reach", None):
                raise ValueError(
                    f"The layer {layer.name!r} of {self.path} sees up to "
                    f"{other.reach:.3f} Å, that for the data up to "
                    f"{layer.reach:.3f} Å, because the orbitals of a new "
                    "element reach farther. Leave out `start_from`."
                )
            if isinstance(layer, TwoCentreBaseline):
                layer.keep([s in old.symbols for s in symbols])
            if isinstance(layer, ProjectorSum):
                layer.kept_rows = np.array(rows)

    @property
    def has_second_stage(self):
        """Whether the second stage begins with that of the file, too."""
        is_wanted = self.settings.second_stage != "none"
        return is_wanted and len(self.model.stages()) > 1

    def _complete(self, settings):
        first, *second = self.model.stages()
        found = {
            "first_stage": _name("first_stage", first),
            "first_options": _options(first),
            "initial": first.arguments.get("initial"),
            "dtype": first.arguments["dtype"],
        }
        given = settings.model_dump(exclude_unset=True)
        if second and given.get("second_stage") != "none":
            found["second_stage"] = _name("second_stage", second[0])
            found["second_options"] = _options(second[0])
        for key, value in found.items():
            if given.get(key, value) != value:
                raise ValueError(
                    f"`{key}` is that of the model to start from: {self.path} "
                    f"has {value!r}. Received: {given[key]!r}. Leave it out."
                )
        check_takes_initial(first, settings, self.path)
        known = self.model.reaches
        for symbol, reach in settings.reaches.items():
            if abs(reach - known.get(symbol, reach)) > TOLERANCE:
                raise ValueError(
                    f"`reaches` of {symbol} is that of the model to start "
                    f"from: {self.path} has {known[symbol]:.3f} Å. Received: "
                    f"{reach:.3f} Å. Leave it out."
                )
        return TrainingSettings(**{**FINE_TUNING, **given, **found})


def check_takes_initial(stage, settings, name):
    """Refuses species where no stage takes H⁰.

    Args:
        stage: `Stage`, a first one.
        settings: `TrainingSettings`.
        name: its path or name, for the message.

    Raises:
        ValueError: if the settings have `species`, and it takes none.
    """
    if settings.species is not None and not stage.takes_initial:
        raise ValueError(
            f"`species` are there for H⁰, and the model {name} takes none (nor "
            "does any preset). Leave `species` out; or leave the model out, "
            "and a new one learns corrections of H⁰."
        )


def _options(stage):
    """Arguments of a stage that neither the data nor a first stage gives."""
    return {k: x for k, x in stage.arguments.items() if k not in GIVEN}


def _name(part, stage):
    """The name of a stage's class in the settings."""
    for name, known in STAGES[part].items():
        if known is not None and stage_class(part, name) is type(stage):
            return name
    return object_name(type(stage))


def _array(weight):
    return np.array(keras.ops.convert_to_numpy(weight))
