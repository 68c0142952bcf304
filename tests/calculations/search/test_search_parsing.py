"""What people type, and how it is understood: each sentence with its one way of writing."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from calculations.search import parse
from labportal.common.errors import InvalidInput

SENTENCES = {
    "": "",
    "   ": "",
    "all calculations": "",
    "state:valid": "state:valid",
    "State: VALID": "state:valid",
    "status=valid": "state:valid",
    "valid": "state:valid",
    "valid runs": "state:valid",
    "not valid": "state:not_valid",
    "invalid siesta": "state:not_valid software:siesta",
    "in review": "state:in_review",
    "drafts": "state:draft",
    "canceled": "state:cancelled",
    "active": "state:queued,running",
    "state:valid,failed": "state:valid,failed",
    "valid or failed": "state:valid,failed",
    "-state:valid": "-state:valid",
    "-failed": "-state:failed",
    "except siesta": "-software:siesta",
    "without siesta": "-software:siesta",
    "siesta": "software:siesta",
    "software:Siesta": "software:siesta",
    "quantum espresso": "software:espresso",
    "software:quantum espresso": "software:espresso",
    "pw.x": "software:espresso",
    "person:ada": "person:ada",
    "by ada": "person:ada",
    "ada": "ada",
    "project:lab": "project:lab",
    'project:"my project"': 'project:"my project"',
    "in project lab": "project:lab",
    "on metis": "cluster:metis",
    "cluster:metis,hal": "cluster:metis,hal",
    "formula:H2O": "formula:H2O",
    "H2O": "H2O",
    "water": "water",
    "element:si": "element:Si",
    "element:Si,Ge": "element:Si,Ge",
    "containing Si": "element:Si",
    "tag:surface": "tag:surface",
    "tagged surface": "tag:surface",
    "standing:validated": "standing:validated",
    "validated": "standing:validated",
    "unvalidated": "-standing:validated",
    "trusted": "standing:trusted",
    "retracted": "standing:retracted",
    "C-12": "C-12",
    "c-12": "C-12",
    "S-3": "S-3",
    '"water in a field"': '"water in a field"',
    '-"water in a field"': '-"water in a field"',
    "gap>5 eV": "gap>5 eV",
    "gap > 5eV": "gap>5 eV",
    "gap>5": "gap>5 eV",
    "gap ≥ 5 eV": "gap>=5 eV",
    "a gap above 5 eV": "gap>5 eV",
    "gap of more than 5 eV": "gap>5 eV",
    "gap is at least 5 eV": "gap>=5 eV",
    "gap below 5 eV": "gap<5 eV",
    "gap under 0.1 Ha": "gap<0.1 Ha",
    "gap 1..3 eV": "gap 1..3 eV",
    "gap 1-3 eV": "gap 1..3 eV",
    "gap between 1 and 3 eV": "gap 1..3 eV",
    "gap from 1 to 3 eV": "gap 1..3 eV",
    "gap=5.43": "gap=5.43 eV",
    "band gap > 1 eV": "gap>1 eV",
    "energy < -17.2 Ha": "energy<-17.2 Ha",
    "energy -500..-400 eV": "energy -500..-400 eV",
    "total energy below -400 eV": "total_energy<-400 eV",
    "dipole>1 e·Å": "dipole>1 e·Å",
    "force at most 0.01 eV/Å": "force<=0.01 eV/Å",
    "-gap>5 eV": "-gap>5 eV",
    "has:gap": "has:gap",
    "runs>10": "runs>10",
    "cores 2..8": "cores 2..8",
    "atoms<=3": "atoms<=3",
    "finished>2026-11-01": "finished>2026-11-01",
    "finished since monday": "finished>=monday",
    "created before 2026": "created<2026",
    "created last week": "created:last-week",
    "finished:today": "finished:today",
    "since monday": "created>=monday",
    "failed since monday": "state:failed finished>=monday",
    "in the last 7 days": "created>=7d",
    "created 2026-11-01..2026-11-15": "created:2026-11-01..2026-11-15",
    "all valid water runs with a gap above 5 eV": "state:valid water gap>5 eV",
    "failed siesta since monday": "state:failed software:siesta finished>=monday",
    "show me all siesta calculations by ada": "software:siesta person:ada",
    "text:valid": "text:valid",
    '"valid"': '"valid"',
    "water or ice": "substance:water,ice",
    "before optimisation": '"before" optimisation',
    "§§ !!": "",
}

REFUSED = {
    "gap>": "a number must follow, as in gap>5",
    "gap>five": "a number must follow",
    "gap>5 kg": "“kg” (character 7): gap is stored in eV, and kg is something else",
    "gap>5 foo/bar": "“foo/bar” is no known unit",
    "gap>1e999": "too large",
    "gap 1..": "end the range",
    "> 5": "a name must stand before it",
    "state:": "a value must follow, as in state:valid",
    "state:vaild": "“vaild” is no state; did you mean valid?",
    "state>valid": "state is not compared",
    "software:siest": "did you mean siesta?",
    "standing:good": "is no standing",
    "formula:water": "is no formula",
    "element:Xx": "is no element",
    "number:x": "write C-12",
    "finished>someday": "a date must follow",
    "runs>5 eV": "is a count and has no unit",
    "valid or siesta": "“or” stands between values of one field",
    "x" * 501: "500 characters at most",
    " ".join(f"w{i}" for i in range(40)): "30 conditions at most",
}


@pytest.mark.parametrize(("sentence", "written"), SENTENCES.items())
def test_a_sentence_is_understood(sentence: str, written: str) -> None:
    query = parse(sentence)
    assert str(query) == written
    assert str(parse(written)) == written


@pytest.mark.parametrize(("sentence", "message"), REFUSED.items())
def test_a_refusal_names_the_place_and_the_remedy(sentence: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(sentence)
    assert message in refused.value.message
    assert refused.value.field == "q"


def test_each_condition_is_said_in_words_and_can_be_taken_out() -> None:
    query = parse("failed water gap>5 eV -siesta")
    assert [c.said for c in query.conditions] == [
        "failed",
        "H2O or “water”",
        "gap > 5 eV",
        "except SIESTA",
    ]
    assert str(query.without(query.conditions[1])) == "state:failed gap>5 eV -software:siesta"


def test_words_that_narrow_nothing_are_told() -> None:
    assert parse("all runs with water").idle == ("all", "runs", "with")


WORDS = (
    'valid water gap > 5 eV .. - not or state : , " siesta since monday 2026 energy -3 1..3 kg '
    "between and above at least has runs = by on element formula H2O total the last 7 days"
)
SAID = WORDS.split()
ANYTHING = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(SAID), max_size=12).map(" ".join),
    st.lists(st.sampled_from(SAID), max_size=12).map("".join),
)


@given(ANYTHING)
@example('by "')
def test_whatever_is_typed_is_understood_or_refused(text: str) -> None:
    try:
        query = parse(text)
    except InvalidInput:
        return
    again = parse(str(query))
    assert str(again) == str(query)
    assert [(c.field, c.values, c.negated) for c in again.conditions] == [
        (c.field, c.values, c.negated) for c in query.conditions
    ]
