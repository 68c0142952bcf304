"""The library of structures: kept once, linked to calculations, found again."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from calculations.models import Calculation, Dataset, Run, Structure
from calculations.selectors import Filters
from calculations.selectors import calculations as visible_calculations
from calculations.services import drafts, structures
from calculations.services.drafts import DraftSpec
from calculations.software.structure import WATER
from calculations.structures import library
from calculations.structures.library import StructureFilters, composition, hill
from labportal.accounts.models import Project
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment
from labportal.demo.structures import STRUCTURES
from tests.calculations.factories import draft
from tests.calculations.structures.samples import CIF, POSCAR
from tests.calculations.test_pages import as_person, page, post
from tests.factories import ProjectFactory, default_project

pytestmark = pytest.mark.django_db

SHUFFLED = "3\nthe same\nH 1.757 0.586 5\nO 1 0 5\nH 0.243 0.586 5\n"


def kept(actor: Any, content: str = WATER, **wishes: Any) -> Structure:
    given = {"project": default_project(), "name": "Water", **wishes}
    return structures.create(given.pop("project"), content=content, actor=actor, **given)[0]


def of_water(actor: Any, **wishes: Any) -> Calculation:
    return draft(actor, software="pyscf", parameters={"geometry": WATER}, **wishes)


def relaxed(actor: Any, **wishes: Any) -> Run:
    """A run of a calculation of water that ended with another geometry."""
    calculation = draft(actor, software="siesta", **wishes)
    run = Run.objects.create(calculation=calculation, state="valid")
    columns = {"symbol": ["O", "H", "H"], "x": [0, 0.76, -0.76], "y": [0, 0.6, 0.6], "z": [0.0] * 3}
    Dataset.objects.create(
        calculation=calculation,
        run=run,
        name="final_geometry",
        label="Geometry",
        kind="table",
        columns=[{"name": n, "label": n, "unit": "", "values": v} for n, v in columns.items()],
    )
    box = {"vector": ["a", "b", "c"], "x": [9, 0, 0], "y": [0, 9, 0], "z": [0, 0, 9]}
    Dataset.objects.create(
        calculation=calculation,
        run=run,
        name="final_cell",
        label="Cell",
        kind="table",
        columns=[{"name": n, "label": n, "unit": "", "values": v} for n, v in box.items()],
    )
    return run


def test_a_structure_is_kept_once_in_each_project(ada: Any) -> None:
    first, is_new = structures.create(
        default_project(), name="", content=WATER, actor=ada, tags=["a", " a ", "b"]
    )
    assert is_new and first.name == "water" and first.tags == ["a", "b"]
    assert (first.formula, first.atom_count, first.periodic) == ("H2O", 3, "FFF")
    again, is_new = structures.create(default_project(), name="x", content=SHUFFLED, actor=ada)
    assert again == first and not is_new
    assert kept(ada, project=ProjectFactory(members=[ada])) != first


def test_all_that_is_wrong_is_said_at_once(ada: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        kept(ada, "2\n\nO 0 0 0\n", name="x" * 201, tags=["a,b"])
    assert set(caught.value.errors) == {"content", "name", "tags"}
    assert "line 1" in caught.value.errors["content"]


def test_a_crystal_has_its_volume_and_its_source(ada: Any) -> None:
    salt = kept(ada, CIF, name="", file_name="../salt.cif")
    assert (salt.formula, salt.elements, salt.periodic) == ("Cl4Na4", ["Cl", "Na"], "TTT")
    assert salt.volume == pytest.approx(5.64**3)
    assert (salt.source_name, salt.source_format, salt.name) == ("..salt.cif", "cif", "NaCl")


def test_a_draft_is_linked_to_its_structure(ada: Any) -> None:
    one, other = of_water(ada), draft(ada, software="siesta")
    assert one.structure == other.structure
    assert one.structure.formula == "H2O" and one.structure.created_by == ada
    assert Structure.objects.count() == 1
    assert draft(ada).structure is None


def test_a_structure_that_is_there_is_found_whatever_its_order(ada: Any) -> None:
    water = kept(ada)
    made = draft(ada, software="pyscf", parameters={"geometry": SHUFFLED})
    assert made.structure == water


def test_many_drafts_are_linked_by_as_many_queries_as_few(
    ada: Any, django_assert_max_num_queries: Any
) -> None:
    def specs(count: int, software: str) -> list[DraftSpec]:
        project = default_project()
        parameters = [
            {"geometry": f"H 0 0 0\nF 0 0 {0.9 + i / 100:.2f}"} if software == "pyscf" else {}
            for i in range(count)
        ]
        return [DraftSpec(project, f"Draft {i}", software, p) for i, p in enumerate(parameters)]

    with django_assert_max_num_queries(12):
        made = drafts.create_all(specs(40, "pyscf"), actor=ada)
    assert len({d.structure_id for d in made}) == 40
    with django_assert_max_num_queries(6):
        drafts.create_all(specs(200, "noop"), actor=ada)


def test_a_chosen_structure_fills_the_parameters(ada: Any) -> None:
    silicon = kept(ada, POSCAR)
    made = draft(ada, software="siesta", structure=silicon, parameters={"structure": WATER})
    assert made.structure == silicon
    assert "Si" in made.parameters["structure"] and "Lattice=" in made.parameters["structure"]
    by_vectors = draft(ada, software="espresso", structure=silicon)
    assert by_vectors.parameters["lattice"] == "vectors" and by_vectors.structure == silicon


def test_a_molecule_in_the_box_that_a_program_needs_stays_the_molecule(ada: Any) -> None:
    water = kept(ada)
    made = draft(ada, software="espresso", structure=water)
    assert made.structure == water
    assert drafts.duplicate(made, actor=ada).structure == water
    spec = DraftSpec(made.project, "Changed", "espresso", made.parameters)
    assert drafts.change(made, spec, actor=ada).structure == water
    other = {**made.parameters, "structure": "H 0 0 0\nH 0 0 0.74"}
    spec = DraftSpec(made.project, "Changed", "espresso", other)
    assert drafts.change(made, spec, actor=ada).structure.formula == "H2"


def test_a_structure_of_another_project_is_taken_over(ada: Any) -> None:
    elsewhere = ProjectFactory(private=True, members=[ada])
    water = kept(ada, project=elsewhere, name="Secret water", tags=["mine"])
    made = draft(ada, software="pyscf", structure=water)
    assert made.structure != water and made.structure.project == default_project()
    assert made.structure.fingerprint == water.fingerprint


def test_a_program_without_structures_takes_none(ada: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        draft(ada, structure=kept(ada))
    assert "takes no structure" in caught.value.errors["structure"]


def test_the_last_geometry_of_a_run_is_kept_as_a_structure(ada: Any) -> None:
    run = relaxed(ada)
    found, is_new = structures.create_from_run(run, actor=ada)
    assert is_new and found.derived_from == run and found.name.endswith(", relaxed")
    assert found != run.calculation.structure
    assert found.periodic == "FFF"  # the box that the run had is none of the molecule's own
    assert structures.create_from_run(run, actor=ada) == (found, False)
    Dataset.objects.all().delete()
    with pytest.raises(WrongMoment, match="stored no geometry"):
        structures.create_from_run(run, actor=ada)


def test_what_is_used_is_not_deleted_and_others_are_not_theirs(
    ada: Any, eve: Any, max: Any
) -> None:
    used = draft(ada, software="pyscf").structure
    with pytest.raises(WrongMoment, match="1 calculation uses S-"):
        structures.delete(used, actor=ada)
    free = kept(ada, POSCAR)
    with pytest.raises(NotAllowed):
        structures.delete(free, actor=eve)
    structures.delete(free, actor=max)
    assert list(Structure.objects.all()) == [used]


def test_formulas_are_read_as_chemists_write_them() -> None:
    assert hill(composition("CH3OH")) == "CH4O"
    assert hill(composition("NaCl"), 4) == "Cl4Na4"
    assert [composition(text) for text in ("", "h2o", "Xx2", "H0", "H2O!", "2H")] == [None] * 6


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"formula": "H2O"}, ["Water"]),
        ({"formula": "OH2"}, ["Water"]),
        ({"formula": "NaCl"}, ["Salt"]),
        ({"formula": "no formula"}, []),
        ({"element": "Si"}, ["Silicon"]),
        ({"element": "H,O"}, ["Water"]),
        ({"element": "H,Si"}, []),
        ({"tag": "polar"}, ["Water"]),
        ({"tag": "pol"}, []),
        ({"text": "sil"}, ["Silicon"]),
        ({"text": "Na salt"}, ["Salt"]),
        ({"text": "ClNa"}, ["Salt"]),
        ({"q": "polar"}, ["Water"]),
        ({"project": "nowhere"}, []),
        ({}, ["Salt", "Silicon", "Water"]),
    ],
)
def test_the_library_is_searched(ada: Any, query: dict[str, str], names: list[str]) -> None:
    kept(ada, tags=["polar"])
    kept(ada, POSCAR, name="Silicon")
    kept(ada, CIF, name="Salt")
    found = library.structures(ada, StructureFilters.read(query))
    assert [s.name for s in found.order_by("-pk")] == names


def test_a_number_finds_its_structure(ada: Any) -> None:
    water = kept(ada)
    for words in (f"S-{water.pk}", str(water.pk)):
        assert water in library.structures(ada, StructureFilters(text=words))
    calculation = of_water(ada)
    for words in (f"S-{water.pk}", str(water.pk)):
        assert list(visible_calculations(ada, Filters(structure=words))) == [calculation]
    assert not visible_calculations(ada, Filters(structure="²")).exists()


def test_only_visible_structures_are_there(ada: Any, eve: Any) -> None:
    hidden = kept(ada, project=ProjectFactory(private=True, members=[ada]), name="Hidden")
    browser = as_person(eve)
    assert "Hidden" not in page(browser, "molecule-list")
    assert "Hidden" not in page(browser, "molecule-choose")
    for name in ("detail", "picture", "geometry", "parameters", "download"):
        assert browser.get(reverse(f"molecule-{name}", args=[hidden.pk])).status_code == 404
    new = reverse("calculation-new")
    assert browser.get(new, {"structure": hidden.pk, "software": "pyscf"}).status_code == 404
    fields = {"name": "x", "project": "lab", "software": "pyscf", "structure": hidden.pk}
    assert "is not in the library" in browser.post(new, fields).content.decode()


def test_the_page_says_what_is_known(ada: Any) -> None:
    water = of_water(ada, name="First try").structure
    twin = kept(ada, project=ProjectFactory(members=[ada], name="Elsewhere"))
    text = page(as_person(ada), "molecule-detail", water.pk)
    assert "H<sub>2</sub>O" in text and "First try" in text
    assert twin.get_absolute_url() in text and "Elsewhere" in text
    assert f"{reverse('calculation-new')}?structure={water.pk}" in text
    assert reverse("molecule-geometry", args=[water.pk]) in text


def test_pages_of_many_structures_cost_a_fixed_number_of_queries(
    ada: Any, django_assert_max_num_queries: Any
) -> None:
    for i in range(60):
        made = draft(ada, software="pyscf", parameters={"geometry": f"H 0 0 0\nF 0 0 {1 + i / 50}"})
    browser = as_person(ada)
    with django_assert_max_num_queries(16):
        text = page(browser, "molecule-list")
    assert text.count("molecule-picture") == 50 and "Older" in text
    with django_assert_max_num_queries(20):
        page(browser, "molecule-detail", made.structure_id)


def test_a_pasted_structure_is_seen_before_it_is_kept(ada: Any) -> None:
    browser = as_person(ada)
    fields = {"content": CIF, "project": default_project().slug, "verb": "look"}
    text = post(browser, "molecule-new", **fields).content.decode()
    assert "8 atoms out of 2 sites" in text and "<svg" in text and not Structure.objects.exists()
    answer = post(browser, "molecule-new", **{**fields, "verb": "save", "tags": "salt, bulk"})
    salt = Structure.objects.get()
    assert answer.redirect_chain[-1][0] == salt.get_absolute_url()
    assert salt.tags == ["salt", "bulk"]
    text = post(browser, "molecule-new", **fields).content.decode()
    assert "It is here already, as" in text and salt.get_absolute_url() in text


def test_an_upload_is_read_and_an_error_stands_beside_its_field(ada: Any) -> None:
    browser = as_person(ada)
    project = default_project().slug
    file = SimpleUploadedFile("POSCAR", POSCAR.encode())
    text = post(browser, "molecule-new", file=file, project=project).content.decode()
    assert "Si<sub>2</sub>" in text and "5.43" in text
    bad = {"content": "1\n\nQq 0 0 0", "project": project}
    answer = post(browser, "molecule-new", **bad)
    assert answer.status_code == 400
    assert "line 3: &#x27;Qq&#x27; is not a chemical symbol" in answer.content.decode()


def test_names_and_tags_change_the_atoms_do_not(ada: Any) -> None:
    water = kept(ada)
    post(as_person(ada), "molecule-edit", water.pk, name=" Ice ", tags="cold, , cold", content="x")
    water.refresh_from_db()
    assert (water.name, water.tags) == ("Ice", ["cold"]) and "O " in water.content
    answer = post(as_person(ada), "molecule-edit", water.pk, name="")
    assert "needs 1 to 200 characters" in answer.content.decode()


def test_downloads_have_a_name_and_a_format(ada: Any) -> None:
    salt = kept(ada, CIF, name='Salt "of" <sea>')
    browser = as_person(ada)
    answer = browser.get(reverse("molecule-download", args=[salt.pk]), {"format": "vasp"})
    assert (
        answer["Content-Disposition"] == f'attachment; filename="S-{salt.pk}-Salt--of---sea.vasp"'
    )
    assert "Direct" in answer.content.decode()
    water = kept(ada)
    for format in ("cif", "nonsense"):
        refused = browser.get(reverse("molecule-download", args=[water.pk]), {"format": format})
        assert refused.status_code == 400


def test_a_picture_is_kept_but_not_for_strangers(ada: Any, eve: Any) -> None:
    hidden = kept(ada, project=ProjectFactory(private=True, members=[ada]))
    address = reverse("molecule-picture", args=[hidden.pk])
    for _ in range(2):
        answer = as_person(ada).get(address)
        assert answer["Content-Type"] == "image/svg+xml" and b"<circle" in answer.content
    assert as_person(eve).get(address).status_code == 404


def test_the_form_begins_with_a_structure(ada: Any) -> None:
    silicon = kept(ada, POSCAR, name="Silicon")
    browser = as_person(ada)
    text = page(browser, "calculation-new", structure=silicon.pk, software="siesta")
    assert "Lattice=&quot;0 2.715 2.715" in text and f"S-{silicon.pk} Silicon" in text
    fields = {"name": "Bulk", "project": default_project().slug, "software": "siesta"}
    fields |= {"structure": silicon.pk, "p_structure": "", "verb": "save"}
    fields |= {"cores": 1, "memory_gib": 1, "walltime_min": 10}
    from calculations.software.registry import get_software

    for parameter in get_software("siesta").parameters:
        fields.setdefault(
            f"p_{parameter.name}", "" if parameter.default is None else parameter.default
        )
    post(browser, "calculation-new", **{k: v for k, v in fields.items() if v is not False})
    made = Calculation.objects.get()
    assert made.structure == silicon and "Si" in made.parameters["structure"]


def test_the_viewer_gets_the_atoms_and_the_way_they_relaxed(ada: Any) -> None:
    run = relaxed(ada)
    calculation, browser = run.calculation, as_person(ada)
    address = reverse("calculation-geometry", args=[calculation.pk])
    start = browser.get(address, {"of": "start"}).json()
    assert start["symbols"] == ["O", "H", "H"] and start["cell"] is None
    assert browser.get(address).json()["positions"][1] == [0.76, 0.6, 0.0]
    frames = [(f, s, x + f / 10, 0.0, 0.0) for f in range(3) for s, x in (("O", 0.0), ("H", 1.0))]
    rows = list(zip(*frames, strict=True))
    columns = zip(("frame", "symbol", "x", "y", "z"), rows, strict=True)
    for name, found in (
        ("trajectory", [{"name": n, "label": n, "values": list(v)} for n, v in columns]),
        ("geometry_steps", [{"name": "energy", "label": "E", "values": [-1.0, -2.0, -3.0]}]),
    ):
        Dataset.objects.create(
            calculation=calculation, run=run, name=name, label=name, kind="table", columns=found
        )
    played = browser.get(address, {"run": "1"}).json()
    assert len(played["frames"]) == 3 and played["energies"] == [-1.0, -2.0, -3.0]
    assert played["frames"][2] == [[0.2, 0.0, 0.0], [1.2, 0.0, 0.0]]
    for tab in ([], ["results"]):
        text = page(browser, "calculation-detail", calculation.pk, *tab)
        assert "how it relaxed" in text and "3Dmol-min.js" in text
        assert reverse("molecule-from-run", args=[run.pk]) in text
    assert "data-structure=" in page(browser, "calculation-detail", calculation.pk, "inputs")
    assert "3Dmol" not in page(browser, "calculation-detail", draft(ada).pk)


def test_the_demo_has_structures_of_every_kind(ada: Any) -> None:
    made = [kept(ada, s.content, name=s.name, tags=s.tags) for s in STRUCTURES]
    assert [s.formula for s in made] == ["H2O", "C6H6", "Si2", "Cl4Na4", "C2"]
    assert {s.periodic for s in made} == {"FFF", "TTT", "TTF"}
    assert Project.objects.filter(structures__in=made).distinct().count() == 1
