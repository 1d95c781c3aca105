"""Predictions as an ASE calculator."""

import keras
from ase.calculators.calculator import Calculator
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.calculator import all_changes

from keras_hamiltonian.models.loading import load_model
from keras_hamiltonian.prediction import predict

PROPERTIES = ("charges", "fermi_level", "gap", "band_energy")


class HamiltonianCalculator(Calculator):
    """What a predicted Hamiltonian tells of atoms, for workflows of ASE.

    `get_property` of an `ase.Atoms` or of the calculator knows

    - `"charges"`: `(num_atoms,)` array in e, the valence electrons of each
      atom minus those that it has in the crystal, by Mulliken;
    - `"fermi_level"`: float, eV;
    - `"gap"`: float, eV; 0 in a metal;
    - `"band_energy"`: float in eV, see `kh.physics.Occupations`.

    Nothing else: energies, forces and stresses need the repulsion of the ions
    and the double counting of the electrons, which H and S do not tell.

    Args:
        model: `Stage`, the path of its file, or the name of a preset.
        grid: three ints. Wave vectors along each direction, 1 along vacuum.
            Defaults to `kh.physics.k_grid(atoms)`.
        valence_electrons: dict from each element to the valence electrons of
            its potential, `{"Mo": 14, "S": 6}`, for charges. Defaults to what
            the training set tells, which is enough for one element.
        **options: of `kh.predict`, for example `num_electrons`.

    Attributes:
        prediction: `Prediction` of the last atoms, or `None`.

    Example:

    >>> atoms.calc = kh.HamiltonianCalculator("graphene")  # doctest: +SKIP
    >>> atoms.get_charges()                                # doctest: +SKIP
    """

    implemented_properties = list(PROPERTIES)

    def __init__(self, model, grid=None, valence_electrons=None, **options):
        super().__init__()
        if not isinstance(model, keras.Model):
            model = load_model(model)
        self.model = model
        self._grid = grid
        self._valence_electrons = valence_electrons
        self._options = options
        self.prediction = None

    def reset(self):
        """Forgets the last atoms, and what was found of them."""
        super().reset()
        self.prediction = None

    def get_property(self, name, atoms=None, allow_calculation=True):
        """See ASE; raises for energies and forces, and says why."""
        if name not in PROPERTIES:
            raise PropertyNotImplementedError(
                f"A predicted Hamiltonian tells no {name}: energies, forces "
                "and stresses need the repulsion of the ions and the double "
                "counting of the electrons. It tells "
                f"{', '.join(PROPERTIES)}; take a potential for the rest."
            )
        return super().get_property(name, atoms, allow_calculation)

    def get_fermi_level(self):
        """Of the last atoms, in eV."""
        return self.get_property("fermi_level")

    def calculate(
        self,
        atoms=None,
        properties=("fermi_level",),
        system_changes=all_changes,
    ):
        """See ASE."""
        super().calculate(atoms, properties, system_changes)
        if self.atoms is None:
            raise ValueError(
                "The calculator has no atoms yet: atoms.calc = calculator, or "
                "get_property(name, atoms)."
            )
        if system_changes or self.prediction is None:
            # An error must not leave that of other atoms.
            self.prediction = None
            self.prediction = predict(self.model, self.atoms, **self._options)
        for name in properties:
            self.results.update(self._find(name))

    def _find(self, name):
        """Results that come together with one, a dict."""
        if name == "fermi_level":
            return {name: self.prediction.fermi_level}
        if name == "gap":
            return {name: self.prediction.gap(self._grid).gap}
        valence = None
        if name == "charges":
            valence = self._valence()
        found = self.prediction.occupations(self._grid)
        results = {"band_energy": found.band_energy}
        if valence is not None:
            results["charges"] = valence - found.populations
        return results

    def _valence(self):
        """Valence electrons of each atom."""
        known = (self.model.provenance or {}).get("valence_electrons", {})
        known = {**known, **(self._valence_electrons or {})}
        symbols = self.atoms.get_chemical_symbols()
        missing = sorted({*symbols} - {*known})
        if missing:
            raise ValueError(
                f"Charges of {self.atoms.get_chemical_formula()} need the "
                f"valence electrons of {', '.join(missing)}, which the "
                "training set does not tell one by one. Give "
                "`valence_electrons`, a dict from elements to numbers."
            )
        return [known[symbol] for symbol in symbols]
