"""What shall be calculated, as people write it: files, settings, sweeps, numbers, file names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labportal.client import spec, transfer
from labportal.client.errors import ClientError, Invalid
from labportal.client.words import numeral
from tests.client.conftest import Call

SHAPES = {"basis": {"type": "string"}, "weight": {"type": "number"}, "spin": {"type": "boolean"}}


def test_settings_become_what_the_parameter_wants(tmp_path: Path) -> None:
    (tmp_path / "extra.fdf").write_text("MeshCutoff 100 Ry\n")
    pairs = ["basis=6", "weight=0.1", "spin=true", "unknown=3", f"raw=@{tmp_path / 'extra.fdf'}"]
    assert spec.settings(pairs, SHAPES) == {
        "basis": "6",
        "weight": 0.1,
        "spin": True,
        "unknown": 3,
        "raw": "MeshCutoff 100 Ry\n",
    }


@pytest.mark.parametrize("pair", ["weight", "=1", " =1", "raw=@/no/such/file"])
def test_a_setting_without_a_name_or_file_is_refused(pair: str) -> None:
    with pytest.raises(Invalid):
        spec.settings([pair], SHAPES)


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("weight=0:0.4:5", {"parameter": "weight", "from": 0.0, "to": 0.4, "points": 5}),
        ("weight=0.1,0.2", {"parameter": "weight", "values": [0.1, 0.2]}),
        ("basis=sz, dzp", {"parameter": "basis", "values": ["sz", "dzp"]}),
        ("basis=6,7", {"parameter": "basis", "values": ["6", "7"]}),
    ],
)
def test_an_axis_as_it_is_written(text: str, axis: dict[str, Any]) -> None:
    assert spec.axis(text, SHAPES) == axis


@pytest.mark.parametrize("text", ["weight", "weight=", "weight=a:b:c", "weight=0:1:2.5", "=1,2"])
def test_an_axis_that_means_nothing_shows_how_it_is_written(text: str) -> None:
    with pytest.raises(Invalid, match="--sweep"):
        spec.axis(text, SHAPES)


def test_several_axes_make_a_chain_along_the_named_one() -> None:
    found = spec.sweep(
        ["weight=1,2", "basis=a,b"], SHAPES, chain=True, along="basis", carry=["*.DM"]
    )
    assert (found["mode"], found["along"], found["carry"]) == ("chain", 1, ["*.DM"])
    assert spec.sweep([], SHAPES, chain=False) is None
    with pytest.raises(Invalid, match="the axes are weight"):
        spec.sweep(["weight=1,2"], SHAPES, chain=True, along="other")
    with pytest.raises(Invalid, match="needs a --sweep"):
        spec.sweep([], SHAPES, chain=True)


def test_paths_in_a_file_are_beside_it(tmp_path: Path) -> None:
    job = tmp_path / "job.toml"
    job.write_text('structure = "water.xyz"\nfiles = ["O.psf", "sub/H.psf"]\n')
    found = spec.read(job)
    assert found["structure"] == str(tmp_path / "water.xyz")
    assert found["files"] == [str(tmp_path / "O.psf"), str(tmp_path / "sub" / "H.psf")]
    job.write_text('structure = "S-12"\n')
    assert spec.read(job)["structure"] == "S-12"


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.toml", b"name ="), ("a.json", b"{"), ("a.json", b"[1]"), ("a.toml", b"\xff\xfe")],
)
def test_a_broken_file_says_so(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid, match=name):
        spec.read(tmp_path / name)
    with pytest.raises(Invalid, match="cannot be read"):
        spec.read(tmp_path / "absent.toml")


@pytest.mark.parametrize("text", [17, "17", "C-17", "https://lab.example/calculations/17/", " 17 "])
def test_numbers_in_every_form(text: Any) -> None:
    assert numeral(text) == 17


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    try:
        assert numeral(text) >= 0
    except ClientError as error:
        assert "is no number" in error.message


@given(st.text(max_size=40))
def test_no_file_of_a_portal_leaves_the_folder(name: str) -> None:
    folder = Path("/tmp/target")  # noqa: S108 - nothing is written
    try:
        path = transfer.safe_name(name)
    except Invalid:
        return
    assert folder in (folder / path).resolve().parents


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "C:\\x", "..\\x", "", "."])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(Invalid):
        transfer.safe_name(name)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes(labportal: Call, shell: str) -> None:
    assert "_LABPORTAL_COMPLETE" in labportal("completion", shell).stdout


def test_a_command_that_is_not_there_leads_to_the_one_that_is(labportal: Call) -> None:
    assert "Did you mean submit" in labportal("sumbit", code=2).stderr


def test_nobody_signed_in_is_told_the_first_step(labportal: Call) -> None:
    assert "labportal login --url" in labportal("list", code=3).stderr


def test_a_name_with_brackets_does_no_harm_to_the_bars() -> None:
    from labportal.client.cli.base import App
    from labportal.client.cli.following import _Bars
    from labportal.client.portal import Calculation

    run = {"id": "a", "index": 0, "state": "running", "reason": "", "progress": {}}
    document = {"id": 1, "number": "C-1", "name": "[/] [red]x", "state": "running", "runs": [run]}
    with _Bars(App("", as_json=False)) as bars:
        news = {"type": "run.progress", "run": "a", "done": 3, "of": 9, "what": "[/]", "monitor": 1}
        bars.show(Calculation(None, document), [news])  # type: ignore[arg-type]
