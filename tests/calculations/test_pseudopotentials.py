"""The lab's library of pseudopotentials: added, checked, chosen, replaced, deleted."""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from calculations.models import Pseudopotential
from calculations.services import drafts, pseudopotentials, submission
from calculations.services.pseudo_families import best_family, families, warnings
from calculations.software.siesta import Siesta
from calculations.views.pseudopotentials import place_of
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment
from labportal.common.storage import storage
from tests.calculations.factories import draft
from tests.calculations.pseudopotentials import psf

pytestmark = pytest.mark.django_db
WATER = {"software": "siesta", "name": "Water"}


def add(actor: Any, family: str = "PBE", *elements: str, **wishes: Any) -> Any:
    files = [(f"{e}.psf", BytesIO(psf(e, **wishes))) for e in elements or ("O", "H")]
    return pseudopotentials.add(family, files, actor=actor)


def packed(files: dict[str, bytes]) -> BytesIO:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    target.seek(0)
    return target


def refused(actor: Any, name: str, data: bytes | BytesIO) -> str:
    stream = BytesIO(data) if isinstance(data, bytes) else data
    with pytest.raises(InvalidInput) as caught:
        pseudopotentials.add("PBE", [(name, stream)], actor=actor)
    return str(caught.value)


def test_a_scientist_adds_a_family(ada: Any) -> None:
    added = add(ada)
    assert [row.element for row in added.rows] == ["O", "H"]
    (family,) = families()
    assert (family.functionals, family.formats) == (["PBE"], ["psf"])
    assert family.elements == {"O", "H"}


def test_a_zip_is_a_family_whatever_its_folders(ada: Any) -> None:
    zipped = packed({"psf/O.psf": psf("O"), "../../H.psf": psf("H"), "README.md": b"hello"})
    added = pseudopotentials.add("Dojo", [("dojo.zip", zipped)], actor=ada)
    assert {row.name for row in added.rows} == {"O.psf", "H.psf"}
    assert added.notes == ["README.md is no pseudopotential and is left out"]
    assert all(".." not in row.key for row in added.rows)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("Si.psf", psf("C"), "the name says Si, the head says C"),
        ("Si.psf", b"nonsense", "no head of a psf"),
        ("../Si.doc", b"x", "must end in"),
        ("x.zip", b"no zip", "no zip that can be read"),
        ("O;rm.psf", psf("O"), "not a plain file name"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    ada: Any, name: str, data: bytes, words: str
) -> None:
    assert words in refused(ada, name, data)
    assert not Pseudopotential.objects.exists()


def test_a_zip_whose_content_is_damaged_is_refused(ada: Any) -> None:
    content = bytearray(packed({"O.psf": psf("O")}).getvalue())
    content[36:44] = bytes(sign ^ 0xFF for sign in content[36:44])
    assert "no zip that can be read" in refused(ada, "x.zip", bytes(content))


def test_a_zip_that_swells_is_refused(ada: Any) -> None:
    assert "no honest zip" in refused(ada, "x.zip", packed({"O.psf": b"0" * 3_000_000}))


def test_two_files_of_one_element_are_refused(ada: Any) -> None:
    both = packed({"O.psf": psf("O"), "O_2.psf": psf("O")})
    assert "both of O" in refused(ada, "x.zip", both)


def test_the_same_file_again_changes_nothing(ada: Any) -> None:
    add(ada)
    assert add(ada).notes == ["O.psf is there already", "H.psf is there already"]
    add(ada, "Other")
    assert Pseudopotential.objects.values("key").distinct().count() == 2


def test_only_moderators_replace_rename_and_delete(ada: Any, max: Any) -> None:
    add(ada)
    with pytest.raises(NotAllowed):
        add(ada, "PBE", "O", valence=6)
    assert add(max, "PBE", "O", valence=6).replaced == ["O.psf"]
    with pytest.raises(NotAllowed):
        pseudopotentials.rename("PBE", "New", actor=ada)
    pseudopotentials.rename("PBE", "New", actor=max)
    assert [family.name for family in families()] == ["New"]
    with pytest.raises(NotAllowed):
        pseudopotentials.delete(Pseudopotential.objects.first(), actor=ada)


def test_a_draft_takes_the_files_of_its_family(ada: Any) -> None:
    add(ada)
    made = draft(ada, pseudo_family="PBE", **WATER)
    rows = {file.name: file.key for file in made.input_files.all()}
    library = {row.name: row.key for row in Pseudopotential.objects.all()}
    assert rows == library
    submission.submit(made, actor=ada)
    assert made.state == "queued"


def test_another_family_brings_other_files_and_own_ones_stay(ada: Any) -> None:
    add(ada, "PBE")
    add(ada, "Hard", functional="ca")
    made = draft(ada, pseudo_family="PBE", **WATER)
    drafts.attach(made, "O.psf", BytesIO(psf("O", valence=6)), actor=ada)
    own = made.input_files.get(name="O.psf").sha256
    spec = drafts.DraftSpec(project=made.project, pseudo_family="Hard", **WATER)
    drafts.change(made, spec, actor=ada)
    hard = Pseudopotential.objects.get(family="Hard", element="H")
    assert made.input_files.get(name="H.psf").key == hard.key
    assert made.input_files.get(name="O.psf").sha256 == own


def test_a_family_that_is_not_there_is_refused(ada: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        draft(ada, pseudo_family="Nope", **WATER)
    assert "pseudo_family" in caught.value.errors


def test_what_is_missing_is_told_with_the_remedy_before_submit(ada: Any) -> None:
    add(ada, "PBE", "H")
    made = draft(ada, pseudo_family="PBE", **WATER)
    with pytest.raises(InvalidInput) as caught:
        submission.submit(made, actor=ada)
    assert caught.value.errors["files"] == "no family has O in psf: upload O.psf"


def test_a_pseudopotential_of_another_element_is_refused_at_a_draft_too(ada: Any) -> None:
    made = draft(ada, **WATER)
    with pytest.raises(InvalidInput, match="the name says O, the head says C"):
        drafts.attach(made, "O.psf", BytesIO(psf("C")), actor=ada)
    assert not made.input_files.exists()


def test_what_a_calculation_uses_is_not_deleted_and_its_copy_outlives_the_row(
    ada: Any, max: Any
) -> None:
    add(ada)
    made = draft(ada, pseudo_family="PBE", **WATER)
    row = Pseudopotential.objects.get(element="O")
    with pytest.raises(WrongMoment, match=made.number):
        pseudopotentials.delete(row, actor=max)
    type(made).objects.filter(pk=made.pk).update(state="valid")
    pseudopotentials.delete(row, actor=max)
    assert storage().open(made.input_files.get(name="O.psf").key).read() == psf("O")


def test_deleting_a_draft_leaves_the_library(
    ada: Any, django_capture_on_commit_callbacks: Any
) -> None:
    add(ada)
    made = draft(ada, pseudo_family="PBE", **WATER)
    with django_capture_on_commit_callbacks(execute=True):
        drafts.delete(made, actor=ada)
    assert storage().open(Pseudopotential.objects.get(element="O").key).read() == psf("O")


def test_the_best_family_has_all_elements_with_the_functional(ada: Any) -> None:
    add(ada, "A half", "O")
    add(ada, "An LDA", functional="ca")
    add(ada, "The right one")
    needed = Siesta().pseudopotentials(Siesta().check({}))
    assert best_family(needed, families()).name == "The right one"
    lda = next(family for family in families() if family.name == "An LDA")
    assert warnings(needed, lda) == ["O, H: made with LDA, but the functional is PBE"]


def test_the_form_begins_with_the_best_family_and_tells_what_is_wrong(
    ada: Any, client: Any
) -> None:
    add(ada, "An LDA", functional="ca")
    add(ada, "The right one")
    client.force_login(ada)
    page = client.get("/calculations/new/?software=siesta").content.decode()
    assert '<option value="The right one" selected>' in page
    assert "Still missing" not in page or "psf" not in page.partition("Still missing")[2][:400]
    posted = {"software": "siesta", "name": "x", "project": "lab", "pseudo_family": "An LDA"}
    side = client.post(
        "/calculations/preview/", posted | {"cores": 1, "memory_gib": 1, "walltime_min": 5}
    )
    assert "made with LDA, but the functional is PBE" in side.content.decode()


def test_page_and_interface_show_and_take_files(ada: Any, max: Any, client: Any) -> None:
    client.force_login(ada)
    upload = SimpleUploadedFile("Si.psf", psf("Si"))
    client.post("/pseudopotentials/add/", {"family": "PBE", "files": [upload]})
    page = client.get("/pseudopotentials/").content.decode()
    assert "is-there row-3 column-14" in page
    assert "Delete…" not in page
    answer = client.get("/api/v1/pseudopotentials/?element=Si").json()
    (row,) = answer["results"]
    assert (row["functional"], row["valence"]) == ("PBE", 4.0)
    upload = SimpleUploadedFile("C.psf", psf("C"))
    sent = {"family": "PBE", "files": [upload]}
    assert client.post("/api/v1/pseudopotentials/", sent).status_code == 201
    assert client.delete(f"/api/v1/pseudopotentials/{row['id']}/").status_code == 403
    client.force_login(max)
    assert client.delete(f"/api/v1/pseudopotentials/{row['id']}/").status_code == 204


def test_the_library_asks_as_often_however_many_files(
    ada: Any, client: Any, django_assert_max_num_queries: Any
) -> None:
    add(ada, "One", "O")
    client.force_login(ada)
    client.get("/pseudopotentials/")
    with django_assert_max_num_queries(20) as few:
        client.get("/pseudopotentials/")
    add(ada, "Two", "O", "H", "C", "Si")
    with django_assert_max_num_queries(len(few.captured_queries)):
        client.get("/pseudopotentials/")


@pytest.mark.parametrize(
    ("number", "place"),
    [(1, (1, 1)), (2, (1, 18)), (5, (2, 13)), (14, (3, 14)), (21, (4, 3)), (31, (4, 13)),
     (57, (9, 3)), (71, (9, 17)), (72, (6, 4)), (86, (6, 18)), (103, (10, 17)), (118, (7, 18))],
)  # fmt: skip
def test_elements_stand_where_chemists_look_for_them(number: int, place: Any) -> None:
    assert place_of(number) == place
