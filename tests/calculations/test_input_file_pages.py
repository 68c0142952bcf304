"""A whole input file fills in the form, on the page and in the interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.django_db
SILICON = Path(__file__).parents[1] / "data" / "siesta" / "silicon_bands_dos" / "input.fdf"


def test_a_whole_fdf_file_fills_in_the_form(ada: Any, client: Any) -> None:
    text = SILICON.read_text()
    client.force_login(ada)
    posted = {"software": "siesta", "name": "Si", "verb": "read", "input_text": text}
    answer = client.post("/calculations/new/", posted)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert 'name="p_mesh_cutoff" value="80"' in page
    assert "LDA (CA)" in page


def test_what_is_refused_stands_beside_the_file_with_its_line(ada: Any, client: Any) -> None:
    client.force_login(ada)
    text = "Lua.Script x\n" + SILICON.read_text()
    posted = {"software": "siesta", "name": "Si", "verb": "read", "input_text": text}
    answer = client.post("/calculations/new/", posted)
    assert answer.status_code == 400
    assert "line 1: Lua.Script is set by the portal" in answer.content.decode()


def test_the_interface_reads_files_of_programs_that_have_them(ada: Any, client: Any) -> None:
    client.force_login(ada)
    sent = {"input": SILICON.read_text()}
    answer = client.post("/api/v1/software/siesta/read-input/", sent).json()
    assert answer["parameters"]["k_points_a"] == 4
    assert client.post("/api/v1/software/noop/read-input/", sent).status_code == 400
