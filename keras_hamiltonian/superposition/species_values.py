"""Species as JSON values, for the file of a model."""

import dataclasses

from keras_hamiltonian.encoded_arrays import decode_array
from keras_hamiltonian.encoded_arrays import encode_array
from keras_hamiltonian.superposition.radial import RadialFunction
from keras_hamiltonian.superposition.species import Projector
from keras_hamiltonian.superposition.species import Species

# Fields of `Species` by what they hold; the others are text and numbers.
FUNCTIONS = ("neutral_atom_potential", "valence_density", "core_density")
PROJECTORS = ("projectors", "neutral_atom_projectors")


def species_to_values(species):
    """JSON values of species, exact.

    Args:
        species: dict from element symbols to `Species`.

    Returns:
        Dict of `arrays`, each once, and `elements`, in order, whose functions
        are their degree and the positions of mesh, values and slopes.
    """
    arrays, places = [], {}

    def place(array):
        key = array.tobytes()
        if key not in places:
            places[key] = len(arrays)
            arrays.append(encode_array(array))
        return places[key]

    def function(found):
        parts = found.mesh, found.values, found.slopes
        return [int(found.degree), *map(place, parts)]

    def values(field, found):
        if found is None:
            return None
        if field in FUNCTIONS:
            return function(found)
        if field == "orbitals":
            return [function(f) for f in found]
        if field in PROJECTORS:
            return [
                {
                    "functions": [function(f) for f in projector.functions],
                    "energies": [float(e) for e in projector.energies],
                }
                for projector in found
            ]
        return found

    elements = [
        {
            field.name: values(field.name, getattr(s, field.name))
            for field in dataclasses.fields(s)
        }
        for s in species.values()
    ]
    return {"arrays": arrays, "elements": elements}


def species_from_values(values):
    """The dict of `Species` of `species_to_values`."""
    arrays = [decode_array(array) for array in values["arrays"]]

    def function(found):
        degree, *places = found
        return RadialFunction(degree, *(arrays[n] for n in places))

    def projectors(found):
        return tuple(
            Projector(
                tuple(function(f) for f in projector["functions"]),
                tuple(projector["energies"]),
            )
            for projector in found
        )

    species = {}
    for element in values["elements"]:
        fields = dict(element)
        fields["orbitals"] = tuple(function(f) for f in fields["orbitals"])
        for names, read in ((FUNCTIONS, function), (PROJECTORS, projectors)):
            for name in names:
                if fields[name] is not None:
                    fields[name] = read(fields[name])
        species[fields["symbol"]] = Species(**fields)
    return species
