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


def make_part(part, default, **arguments):
    """A part of a model: the default, a given layer, or a factory's.

    Args:
        part: `None` for the default; a layer; a factory, that is a class or
            function that returns a layer; its name `"my_module:MyLayer"`; a
            dict of this name under `"class"` and further arguments; or what
            Keras serialised.
        default: class of the default.
        **arguments: what the default is made with. A factory gets `name` and
            `dtype`, and of the others those that its signature names.

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
    for key, value in arguments.items():
        if key in known or key in ("name", "dtype"):
            own.setdefault(key, value)
    return part(**own)


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
    if inspect.isclass(value) or inspect.isfunction(value):
        return object_name(value)
    raise ValueError(
        "A model keeps what JSON can hold, layers, and classes or functions "
        f"of modules. Received: {value!r}."
    )


def recorded_arguments(cls, args, kwargs, with_further=True):
    """Arguments of a constructor with their defaults, as JSON.

    Args:
        cls: class.
        args, kwargs: what it is called with.
        with_further: bool. Whether arguments that the signature does not name
            (`**kwargs`) belong to it.

    Returns:
        Dict without `name`.
    """
    signature = inspect.signature(cls)
    # Keras also calls `__new__` without arguments.
    bound = signature.bind_partial(*args, **kwargs)
    bound.apply_defaults()
    found = dict(bound.arguments)
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            further = found.pop(name)
            if with_further:
                found |= further
    found.pop("name", None)
    return {name: to_config(value) for name, value in found.items()}
