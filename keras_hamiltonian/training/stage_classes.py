"""Classes of stages, found by the names of settings."""

from keras_hamiltonian.layers.named_objects import did_you_mean
from keras_hamiltonian.layers.named_objects import named_object
from keras_hamiltonian.training.strict_settings import check_names

MODELS = "keras_hamiltonian.models"
# Stages that have a short name.
STAGES = {
    "first_stage": {"equivariant": f"{MODELS}:EquivariantStage"},
    "second_stage": {
        "equivariant": f"{MODELS}:EquivariantTransformerStage",
        "transformer": f"{MODELS}:TransformerStage",
        "none": None,
    },
}
# The method that a training calls first.
NEEDED = {"first_stage": "adapt", "second_stage": "for_stage"}
# Arguments that the data set or the first stage gives.
GIVEN = {
    "basis",
    "reaches",
    "spin",
    "initial",
    "spin_free",
    "feature_irreps",
    "feature_lmax",
    "dtype",
    "name",
}


def stage_class(part, name):
    """The class of a stage.

    Args:
        part: str. `"first_stage"` or `"second_stage"`.
        name: str. A short name, or `"package.module:Class"`.

    Returns:
        A subclass of `Stage`.

    Raises:
        ValueError: if there is no such class, or it is no stage.
    """
    from keras_hamiltonian.models.stage import Stage

    known = STAGES[part]
    if name not in known and ":" not in name:
        raise ValueError(
            f"{name!r} is no stage.{did_you_mean([name], known)} Expected "
            f"{' or '.join(map(repr, known))}, or your own class as "
            '"package.module:Class".'
        )
    found = named_object(known.get(name, name))
    if not (isinstance(found, type) and issubclass(found, Stage)):
        raise ValueError(f"{name} is no subclass of `kh.models.Stage`.")
    if not hasattr(found, NEEDED[part]):
        raise ValueError(
            f"{name} has no method `{NEEDED[part]}`, which a "
            f"{part.replace('_', ' ')} needs."
        )
    return found


def check_options(part, name, options):
    """Refuses names that are no arguments of a stage.

    Args:
        part: str. `"first_stage"` or `"second_stage"`.
        name: str. See `stage_class`.
        options: dict.

    Raises:
        ValueError: naming them, and what may have been meant.
    """
    # Keras is imported where there is something to check.
    if options:
        stage = stage_class(part, name)
        check_names(
            options,
            f"arguments of {stage.__name__}",
            arguments_of(stage) - GIVEN,
        )


def arguments_of(stage):
    """Names of all arguments of a class of stages."""
    from keras_hamiltonian.layers.parts import constructors

    return {name for found in constructors(stage) for name in found}
