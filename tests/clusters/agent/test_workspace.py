"""No name leads out of a run's folder, and no link is followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.agent.workspace import UnsafeName, Workspace, check_relative, find_files, open_regular

BAD = ["", ".", "..", "../x", "/x", "a//b", "a/../b", ".hidden", "a\0b", "a\nb", "a\\b", "x" * 300]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "work")
    workspace.open()
    return workspace


@pytest.mark.parametrize("name", [*BAD, "a/b/c/d/e/f/g/h/i"])
def test_a_name_that_leads_out_is_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(UnsafeName):
        check_relative(name)
    folder = workspace.make("run", 1)
    with pytest.raises(UnsafeName):
        workspace.write(folder, name, b"x")


@pytest.mark.parametrize("run", BAD)
def test_a_run_of_such_a_name_has_no_folder(workspace: Workspace, run: str) -> None:
    with pytest.raises(UnsafeName):
        workspace.folder(run, 1)
    with pytest.raises(UnsafeName):
        workspace.purge(run, [])


def test_a_file_is_not_written_through_a_link(workspace: Workspace, tmp_path: Path) -> None:
    folder = workspace.make("run", 1)
    (folder / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(FileExistsError):
        workspace.write(folder, "link", b"x")
    assert not (tmp_path / "outside").exists()


def test_only_regular_files_are_found(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret.dat").write_text("secret")
    folder = workspace.make("run", 1)
    (folder / "link.dat").symlink_to(tmp_path / "secret.dat")
    (folder / "folder").symlink_to(tmp_path)
    (folder / "a.dat").write_text("a")
    (folder / "sub").mkdir()
    (folder / "sub" / "b.dat").write_text("b")
    assert [name for name, _, _ in find_files(folder, ["*.dat", "*/*.dat"])] == [
        "a.dat",
        "sub/b.dat",
    ]
    assert [name for name, _, _ in find_files(folder, ["*.dat"])] == ["a.dat"]
    assert find_files(folder, ["../*", "/etc/*"]) == []
    with pytest.raises(OSError, match=r"[Ll]inks"):
        open_regular(folder / "link.dat")


def test_an_interrupted_preparation_is_begun_anew(workspace: Workspace) -> None:
    (workspace.make("run", 1) / "left").write_text("x")
    assert list(workspace.make("run", 1).iterdir()) == []


def test_purging_a_run_that_is_a_link_touches_nothing(workspace: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_text("stays")
    (workspace.runs / "run").symlink_to(target)
    assert workspace.purge("run", []) == 0
    assert (target / "file").exists()
