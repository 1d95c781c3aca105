"""Parts of a model that a user may replace, and how a file names them."""

import collections.abc
import inspect

import keras
import numpy as np

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.named_objects import named_object
from keras_hamiltonian.layers.named_objects import object_name
from keras_hamiltonian.orbitals.basis import OrbitalBasis

VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def make_part(part, default, **arguments):
    """A part of a model: the default, a given layer, or a factory's.

    Args:
        part: `None` for the default; a layer, which has its own dtype; a
            factory, that is a class or function that returns a layer; its name
            `"my_module:MyLayer"`; a dict of this name under `"class"` and
            further arguments; or what Keras serialised.
        default: class of the default.
        **arguments: what the default is made with. A factory gets those that
            its signature names; with `**kwargs` also `name` and `dtype`.

    Returns:
        `keras.layers.Layer`.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(part, keras.layers.Layer):
        return part
    own = {}
    if isinstance(part, collections.abc.Mapping):
        if "class_name" in part:
            return keras.saving.deserialize_keras_object(dict(part))
        own = dict(part)
        part = own.pop("class", None)
        if part is None:
            raise ValueError(
                'A part given as a dict has its class under "class". Received: '
                f"{own}."
            )
    if isinstance(part, str):
        part = named_object(part)
    if part is None:
        return default(**arguments)
    if not callable(part):
        raise ValueError(
            f"The part {arguments['name']!r} is a layer, or a class or "
            f"function that makes one. Received: {part!r}."
        )
    known = inspect.signature(part).parameters
    takes_more = any(p.kind is p.VAR_KEYWORD for p in known.values())
    for key, value in arguments.items():
        if key in known or (takes_more and key in ("name", "dtype")):
            own.setdefault(key, value)
    return part(**own)


def check_factory(part, name):
    """Raises for a layer in place of a factory: several are to be made."""
    if isinstance(part, keras.layers.Layer):
        raise ValueError(
            f"`{name}` is needed several times, so give a class or function "
            f"that makes one, not a layer. Received: {part}."
        )


def to_config(value):
    """JSON for an argument of a model, of which `make_part` makes the same.

    Raises:
        ValueError: if there is none.
    """
    if isinstance(value, keras.layers.Layer):
        return keras.saving.serialize_keras_object(value)
    if isinstance(value, OrbitalBasis):
        return value.to_dict()
    if isinstance(value, Irreps | EdgeIrreps):
        return str(value)
    if isinstance(value, collections.abc.Mapping):
        return {str(key): to_config(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_config(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, keras.DTypePolicy):
        return value.name
    is_named = inspect.isclass(value) or inspect.isfunction(value)
    if is_named and value.__qualname__ == value.__name__ != "<lambda>":
        return object_name(value)
    raise ValueError(
        "A model keeps what JSON can hold, layers, and classes or functions "
        f"at the top of a module. Received: {value!r}."
    )


def recorded_arguments(cls, args, kwargs, left_out=("name",)):
    """Arguments of a constructor with their defaults, as JSON.

    Args:
        cls: class.
        args, kwargs: what it is called with.
        left_out: names of arguments that are not recorded.

    Returns:
        Dict.

    Raises:
        ValueError: if the constructor takes `*args`.
    """
    signature = inspect.signature(cls)
    # Keras also calls `__new__` without arguments.
    bound = signature.bind_partial(*args, **kwargs)
    bound.apply_defaults()
    found = dict(bound.arguments)
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise ValueError(
                f"The constructor of {cls.__name__} takes `*{name}`, so a file "
                "could not say what its arguments are. Name them."
            )
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= found.pop(name)
    return {k: to_config(v) for k, v in found.items() if k not in left_out}


def constructors(cls):
    """The constructor of a class, and those it hands its `**kwargs` on to.

    Args:
        cls: class.

    Returns:
        List of dicts from name to `inspect.Parameter`, `self` and variadic
        ones left out, the class itself first.
    """
    found = []
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        signature = inspect.signature(base.__init__)
        kinds = {p.kind for p in signature.parameters.values()}
        _, *names = signature.parameters
        found.append(
            {
                name: signature.parameters[name]
                for name in names
                if signature.parameters[name].kind not in VARIADIC
            }
        )
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return found


def inherited_defaults(cls):
    """Defaults of the stages that a stage hands its `**kwargs` on to.

    Args:
        cls: subclass of `Stage`.

    Returns:
        Dict of JSON values; empty if the class names all of its arguments.
    """
    found = {}
    for parameters in constructors(cls)[1:]:
        # Other bases take a backbone, not what it is made of.
        if "basis" in parameters:
            for name, p in parameters.items():
                if p.default is not p.empty and name != "name":
                    found.setdefault(name, to_config(p.default))
    return found
