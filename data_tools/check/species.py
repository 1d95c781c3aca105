"""Do S, H⁰ and H belong to species files? Their H⁰ and S are computed."""

import numpy as np

from data_tools.check.causes import FITS
from data_tools.check.causes import distance
from data_tools.check.causes import elements_apart
from data_tools.check.causes import energy_cause
from data_tools.check.causes import length_cause
from data_tools.check.causes import overlap_cause
from data_tools.check.causes import reaches
from data_tools.check.causes import spin_orbit_cause
from data_tools.check.faults import FACTORS
from data_tools.check.faults import on_pairs_of
from data_tools.check.finding import Finding
from data_tools.check.initial import LARGEST_CORRECTION
from data_tools.check.sample import Sample
from keras_hamiltonian.orbitals.matrix_elements import least_squares_shift
from keras_hamiltonian.orbitals.matrix_elements import overlap_of_elements
from keras_hamiltonian.superposition.functionals import FUNCTIONALS
from keras_hamiltonian.superposition.functionals import functional_name
from keras_hamiltonian.superposition.zeroth_step import SPINS

# Largest error of S for a warning and for an error. OpenMX's is off by 2e-7;
# other programs have tables of their own.
OVERLAP = (1e-5, 1e-3)
# The same of the mean of H⁰ in eV, by the form of the neutral atoms: by
# projectors 1e-6 to 3e-6, with another cut-off 4e-5 and more; on the grid 4e-5
# to 2e-4, and other programs have another gradient.
INITIAL = {"projectors": (2e-5, 1e-3), "grid": (5e-4, 1e-2)}
# Of a setting that fits better.
BETTER = 0.2
# Of S, H⁰ and H.
NUM_CHECKS = 3
CUTOFFS = (200.0, 150.0, 300.0, 100.0, 250.0, 400.0, 75.0, 500.0)
# Of spin-orbit coupling, its mean difference over its mean.
COUPLING = 0.01


class SpeciesCheck:
    """Compares calculations with S and H⁰ of species.

    Args:
        zeroth_step: function of an `OrbitalBasis` and a spin layout to a
            `ZerothStep`.

    Attributes:
        measured: dict. Of the last calculation: `overlap`, the largest error
            of S; `initial`, the mean error of H⁰ in eV; `correction`, the mean
            of |H - H⁰ - μS| with the computed H⁰, in eV; `None` each where
            there is nothing to compare.
    """

    def __init__(self, zeroth_step):
        self._make, self._steps = zeroth_step, {}
        self._setting = None
        self.measured = {}

    def __call__(self, calculation):
        """Findings of a `Calculation`.

        Raises:
            ValueError: if there are no species of its elements, or they
                cannot be read.
        """
        self.measured = dict.fromkeys(("overlap", "initial", "correction"))
        matrices = Sample(calculation).matrices.values()
        if any(matrix.not_finite()[0] for matrix in matrices):
            return []  # `check_finite` says so.
        step = self._step(calculation)
        findings = _check_layout(calculation, step)
        if findings:
            return findings
        try:
            overlap = step.overlap(calculation.atoms)
            if calculation.overlap is not None:
                findings, is_comparable = self._check_overlap(
                    calculation, step, overlap
                )
                if not is_comparable:
                    return findings
            hamiltonian, _ = step(calculation.atoms)
        except ValueError as error:
            return [
                Finding(
                    "species",
                    "warning",
                    f"H⁰ of the species was not computed: {error}",
                    "Mend the structure, or leave it out of this comparison.",
                )
            ]
        if calculation.initial_hamiltonian is not None:
            findings += self._check_initial(
                calculation, step, hamiltonian, overlap
            )
        if calculation.hamiltonian is not None:
            findings += self._check_hamiltonian(
                calculation, hamiltonian, overlap
            )
        return findings

    def _step(self, calculation):
        """The `ZerothStep` of a basis and a spin layout, made once."""
        basis = calculation.basis
        key = calculation.spin, str(basis.to_dict())
        if key not in self._steps:
            # Of collinear spin `_check_layout` says that there is no H⁰.
            spin = calculation.spin if calculation.spin in SPINS else "none"
            step = self._make(basis, spin)
            forms = [s.neutral_atom_projectors for s in step.species.values()]
            if None not in forms:
                step = step.changed(neutral_atoms="projectors")
            self._steps[key] = step
        return self._steps[key]

    def _check_overlap(self, calculation, step, right):
        """Findings, and whether H⁰ is of the same orbitals nevertheless."""
        given = calculation.overlap
        error = np.abs(on_pairs_of(right, given).entries - given.entries)
        self.measured["overlap"] = largest = float(error.max())
        if largest <= OVERLAP[0]:
            return [], True
        cause = order = overlap_cause(calculation, right)
        cause = cause or length_cause(calculation, step)
        if not cause:
            cause = elements_apart(calculation, given, error, OVERLAP[0])
            cause += reaches(calculation, step)
        finding = Finding(
            "species_overlap",
            "error" if largest > OVERLAP[1] else "warning",
            f"S differs from that of the species by up to {largest:.2g}. "
            f"{cause}",
            REMEDIES["overlap"],
        )
        return [finding], bool(order) or largest <= OVERLAP[1]

    def _check_initial(self, calculation, step, right, overlap):
        given = calculation.initial_hamiltonian
        computed = on_pairs_of(right, given)
        error = computed.entries - given.entries
        form = "projectors" if step.has_projectors else "grid"
        self.measured["initial"] = mean = float(np.abs(error).mean())
        if mean <= INITIAL[form][0]:
            return _check_spin_orbit(calculation, given, computed)
        weights = overlap_of_elements(given, overlap)
        shift = least_squares_shift(-error, weights)
        rest = float(np.abs(error + shift * weights).mean())
        if rest <= INITIAL[form][0]:
            return [
                Finding(
                    "species_zero",
                    "note",
                    "H⁰ is that of the species with another zero of energy: "
                    f"they differ by μS, μ = {shift:.3f} eV.",
                    "Models learn the shift. Keep it the same in all "
                    "structures.",
                ),
                *_check_spin_orbit(calculation, given, computed),
            ]
        cause = energy_cause(calculation, given, right, overlap, 0.0)
        cause = cause or spin_orbit_cause(calculation, given, computed)[0]
        cause = cause or self._setting_fault(calculation, step, given, mean)
        cause = cause or elements_apart(
            calculation, given, np.abs(error), INITIAL[form][0]
        )
        return [
            Finding(
                "species_initial",
                "error" if mean > INITIAL[form][1] else "warning",
                "H⁰ differs from that of the species by "
                f"{1e3 * mean:.3g} meV on the mean. {cause}",
                REMEDIES["initial"],
            )
        ]

    def _check_hamiltonian(self, calculation, right, overlap):
        given = calculation.hamiltonian
        largest = LARGEST_CORRECTION[True]
        mean, ratio = distance(given.entries, right, overlap, given)
        self.measured["correction"] = mean
        is_plausible = ratio <= largest
        factors = {1.0: ""} if is_plausible else FACTORS
        cause = energy_cause(
            calculation, given, right, overlap, largest, factors
        )
        if is_plausible and not cause:
            return []
        limit = f"; at most {100 * largest:.0f} % is plausible"
        limit = "" if is_plausible else limit
        if not cause:
            cause = elements_apart(
                calculation,
                given,
                np.abs(on_pairs_of(right, given).entries - given.entries),
                0.0,
            )
        return [
            Finding(
                "species_hamiltonian",
                "error",
                f"The mean of |H - H⁰ - μS| is {1e3 * mean:.0f} meV, "
                f"{100 * ratio:.1f} % of that of |H|, with H⁰ of the species"
                f"{limit}. {cause}",
                REMEDIES["hamiltonian"],
            )
        ]

    def _setting_fault(self, calculation, step, given, mean):
        """Functional or cut-off that fits; one is remembered."""
        own = functional_name(step.functional), step.grid_cutoff
        settings = [{"functional": f} for f in FUNCTIONALS if f not in own]
        settings += [{"grid_cutoff": c} for c in CUTOFFS if c not in own]
        if self._setting is not None:
            settings = [self._setting]
        found = {}
        form = "projectors" if step.has_projectors else "grid"
        for n, setting in enumerate(settings):
            matrix, _ = step.changed(**setting)(calculation.atoms)
            error = on_pairs_of(matrix, given).entries - given.entries
            found[n] = float(np.abs(error).mean())
            if found[n] <= INITIAL[form][0]:
                break
        best = min(found, key=found.get)
        if found[best] > BETTER * mean:
            return ""
        self._setting = settings[best]
        ((name, value),) = self._setting.items()
        words = {"functional": "the functional", "grid_cutoff": "the cut-off"}
        unit = " Ry" if name == "grid_cutoff" else ""
        return (
            f"{FITS} {words[name]} is {value}{unit}, where "
            f"{1e3 * found[best]:.2g} meV are left."
        )


REMEDIES = {
    "overlap": "Read the numbers in the order and units that fit, or give the "
    "species of the calculations: the same orbitals of the same radius "
    "(--input, --orbitals).",
    "initial": "Convert H⁰ again as it fits, or give species and settings of "
    "the calculations: potentials, functional, grid cut-off, spin-orbit "
    "coupling (--input, --functional, --grid-cutoff, --spin-orbit).",
    "hamiltonian": "Convert H again as it fits, or give the species of the "
    "calculations.",
}


def _check_spin_orbit(calculation, given, computed):
    """The parts with spin, which are a small fraction of H⁰."""
    cause, difference = spin_orbit_cause(calculation, given, computed)
    if difference <= COUPLING:
        return []
    return [
        Finding(
            "species_spin_orbit",
            "error",
            f"Spin-orbit parts of H⁰ differ by {100 * difference:.0f} % from "
            f"those of the species. {cause}",
            REMEDIES["initial"],
        )
    ]


def _check_layout(calculation, step):
    """Orbitals and spin that the species share with the data."""
    ours = calculation.basis.to_dict()
    theirs = step.basis.to_dict()
    wrong = {
        s: (ours[s], theirs.get(s))
        for s in set(calculation.atoms.symbols)
        if theirs.get(s) != ours[s]
    }
    findings = []
    for symbol, (own, other) in sorted(wrong.items()):
        what = f"{other} in the species" if other else "no species"
        findings.append(
            Finding(
                "species_basis",
                "error",
                f"{symbol} has the orbitals {own} in the data, and {what}.",
                "Give the species of the calculations (--input, --orbitals); "
                "or the reader took another basis for the data's.",
            )
        )
    if calculation.spin != step.spin:
        findings.append(
            Finding(
                "species_spin",
                "warning",
                f"The data have spin={calculation.spin!r}, the species are "
                f"for spin={step.spin!r}; nothing was compared.",
                "Give the input of one of the calculations, or leave out "
                "--spin-orbit. Collinear spin has no H⁰ here.",
            )
        )
    return findings
