"""The words of the search: which name a field, a state, a comparison, a substance, or nothing."""

from __future__ import annotations

from calculations.search.query import Field
from calculations.states import TERMINAL, CalculationState, RunState, Standing

FIELDS = {
    "state": Field.STATE,
    "status": Field.STATE,
    "standing": Field.STANDING,
    "trust": Field.STANDING,
    "software": Field.SOFTWARE,
    "program": Field.SOFTWARE,
    "code": Field.SOFTWARE,
    "person": Field.PERSON,
    "user": Field.PERSON,
    "by": Field.PERSON,
    "author": Field.PERSON,
    "owner": Field.PERSON,
    "project": Field.PROJECT,
    "cluster": Field.CLUSTER,
    "machine": Field.CLUSTER,
    "on": Field.CLUSTER,
    "formula": Field.FORMULA,
    "element": Field.ELEMENT,
    "elements": Field.ELEMENT,
    "tag": Field.TAG,
    "tags": Field.TAG,
    "text": Field.TEXT,
    "name": Field.TEXT,
    "number": Field.NUMBER,
    "id": Field.NUMBER,
    "structure": Field.NUMBER,
    "substance": Field.SUBSTANCE,
    "created": Field.CREATED,
    "made": Field.CREATED,
    "submitted": Field.SUBMITTED,
    "finished": Field.FINISHED,
    "ended": Field.FINISHED,
    "runs": Field.RUNS,
    "cores": Field.CORES,
    "atoms": Field.ATOMS,
    "priority": Field.PRIORITY,
}
DATES = frozenset({Field.CREATED, Field.SUBMITTED, Field.FINISHED})
COUNTS = frozenset({Field.RUNS, Field.CORES, Field.ATOMS, Field.PRIORITY})
# Words before a value of theirs without a colon: "by ada", "on metis", "in project lab".
PREPOSITIONS = {
    "by": Field.PERSON,
    "on": Field.CLUSTER,
    "project": Field.PROJECT,
    "cluster": Field.CLUSTER,
    "tagged": Field.TAG,
    "containing": Field.ELEMENT,
}

_FINAL = tuple(state.value for state in CalculationState if state in TERMINAL)
STATES: dict[str, tuple[str, ...]] = {
    **{state.value: (state.value,) for state in RunState},
    **{state.value: (state.value,) for state in CalculationState},
    "drafts": (CalculationState.DRAFT.value,),
    "invalid": (CalculationState.NOT_VALID.value,),
    "not-valid": (CalculationState.NOT_VALID.value,),
    "unconverged": (CalculationState.NOT_VALID.value,),
    "review": (CalculationState.IN_REVIEW.value,),
    "in-review": (CalculationState.IN_REVIEW.value,),
    "canceled": (CalculationState.CANCELLED.value,),
    "crashed": (CalculationState.FAILED.value,),
    "successful": (CalculationState.VALID.value,),
    "active": (CalculationState.QUEUED.value, CalculationState.RUNNING.value),
    "ended": _FINAL,
    "finished": _FINAL,
    "done": _FINAL,
}
STATES_OF_TWO = {
    ("not", "valid"): "not_valid",
    ("in", "review"): "in_review",
    ("not", "converged"): "not_valid",
}
STATE_WORDS = {
    **{state.value: str(state.label).lower() for state in RunState},
    **{state.value: str(state.label).lower() for state in CalculationState},
}
STANDINGS: dict[str, tuple[str, ...]] = {
    **{standing.value: (standing.value,) for standing in Standing},
    "trusted": (Standing.CHECKED.value, Standing.VALIDATED.value),
    "unchecked": ("",),
    "none": ("",),
}
# "unvalidated" is no standing: it is all the others.
OPPOSITES = {"unvalidated": "validated", "untrusted": "trusted", "unretracted": "retracted"}

_IDLE = """
a all an and any are calculation calculations every find for from has have having in is job
jobs list me of please result results run runs show structure structures that the their them
these this those to value values was were what where which whose with
"""
IDLE = frozenset(_IDLE.split())
NOT = frozenset({"not", "without", "except", "no", "but"})
MINE = frozenset({"mine", "my"})
SIGNS = {"≥": ">=", "≤": "<=", "=>": ">=", "=<": "<=", "==": "=", ":": "=", "≈": "=", "~": "="}
COMPARISONS = {
    ("greater", "than", "or", "equal", "to"): ">=",
    ("less", "than", "or", "equal", "to"): "<=",
    ("at", "least"): ">=",
    ("at", "most"): "<=",
    ("no", "less", "than"): ">=",
    ("not", "below"): ">=",
    ("no", "more", "than"): "<=",
    ("not", "above"): "<=",
    ("up", "to"): "<=",
    ("more", "than"): ">",
    ("greater", "than"): ">",
    ("larger", "than"): ">",
    ("bigger", "than"): ">",
    ("higher", "than"): ">",
    ("wider", "than"): ">",
    ("less", "than"): "<",
    ("smaller", "than"): "<",
    ("lower", "than"): "<",
    ("narrower", "than"): "<",
    ("fewer", "than"): "<",
    ("equal", "to"): "=",
    ("above",): ">",
    ("over",): ">",
    ("exceeding",): ">",
    ("below",): "<",
    ("under",): "<",
    ("around",): "=",
    ("about",): "=",
    ("equals",): "=",
}
SINCE = {"since": ">=", "after": ">", "before": "<", "until": "<=", "till": "<="}

SUBSTANCES = {
    "water": "H2O",
    "ice": "H2O",
    "ammonia": "H3N",
    "methane": "CH4",
    "methanol": "CH4O",
    "ethanol": "C2H6O",
    "ethane": "C2H6",
    "ethylene": "C2H4",
    "acetylene": "C2H2",
    "benzene": "C6H6",
    "naphthalene": "C10H8",
    "formaldehyde": "CH2O",
    "glucose": "C6H12O6",
    "caffeine": "C8H10N4O2",
    "silicon": "Si",
    "germanium": "Ge",
    "diamond": "C",
    "graphite": "C",
    "graphene": "C",
    "quartz": "SiO2",
    "silica": "SiO2",
    "salt": "NaCl",
    "rutile": "O2Ti",
    "aluminium": "Al",
    "aluminum": "Al",
    "copper": "Cu",
    "silver": "Ag",
    "gold": "Au",
    "platinum": "Pt",
    "iron": "Fe",
    "nickel": "Ni",
    "helium": "He",
    "neon": "Ne",
    "argon": "Ar",
}
# Symbols of elements that are also words, initials or abbreviations: alone they are text.
_ALSO_WORDS = "He I In As At Be No Am U V W Y K B C F H N O P S"
WORDS_TOO = frozenset(_ALSO_WORDS.split())

# What people call a quantity -> its names, the first of which that is stored gives the unit.
ALIASES: dict[str, tuple[str, ...]] = {
    "gap": ("gap", "band_gap"),
    "bandgap": ("gap", "band_gap"),
    "band gap": ("gap", "band_gap"),
    "homo-lumo": ("gap",),
    "energy": ("total_energy",),
    "total energy": ("total_energy",),
    "etot": ("total_energy",),
    "force": ("max_force",),
    "forces": ("max_force",),
    "dipole moment": ("dipole",),
    "fermi": ("fermi_energy",),
    "fermi level": ("fermi_energy",),
    "moment": ("spin_moment",),
    "magnetisation": ("spin_moment",),
    "magnetization": ("spin_moment",),
    "iterations": ("scf_iterations",),
    "stress": ("pressure",),
    "bulk modulus": ("eos_bulk_modulus", "bulk_modulus"),
    "lattice constant": ("eos_lattice_constant", "lattice_constant"),
    "time": ("wall_time",),
    "wall time": ("wall_time",),
}
UNITS = {
    "gap": "eV",
    "band_gap": "eV",
    "total_energy": "eV",
    "max_force": "eV/Å",
    "dipole": "Debye",
}
