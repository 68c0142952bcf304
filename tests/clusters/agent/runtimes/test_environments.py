"""A model's own virtual environment: of wheels alone, made once."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path

import pytest

from clusters.agent.runtimes import environments
from clusters.agent.runtimes.base import RuntimeFailed
from clusters.agent.runtimes.environments import UNUSED_S, WHOLE, Environments, check_requirements
from clusters.agent.runtimes.process import Processes
from tests.clusters.agent.runtimes.arranging import launch_of, spec_of, until


def wheel(folder: Path, name: str = "labmodel") -> None:
    """A wheel of one module that says hello."""
    about = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "def main(): print('hello from the wheel')\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[console_scripts]\nsay-hello = {name}:main\n",
    }
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        record = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
        archive.writestr(f"{about}/RECORD", record)


def test_a_model_runs_with_what_its_requirements_name_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models" / "a model"
    (folder / "wheels").mkdir(parents=True)
    wheel(folder / "wheels")
    (folder / "requirements.txt").write_text("--no-index\n--find-links wheels\nlabmodel==1.0\n")
    processes = Processes(tmp_path / "own", [tmp_path / "models"])
    spec = spec_of(runtime="process", folder=str(folder), command=("say-hello",))
    made = processes.prepare(spec, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(environments, "call", None)
        assert processes.prepare(spec, tmp_path) == made
        launch = launch_of(spec, tmp_path / "replicas")
        handle = processes.start(launch)
    until(lambda: processes.status([handle])[handle.reference].alive is False)
    assert launch.log.read_text() == "hello from the wheel\n"
    (place,) = (path for path in (tmp_path / "own" / "environments").iterdir() if path.is_dir())
    _pretend_unused(place)
    Environments(place.parent).make(_plain(tmp_path), processes._environments_in_use())
    assert place.exists(), "a launch that is there needs it"

    (folder / "requirements.txt").write_text("--no-index\nlabmodel==2.0\n")
    with pytest.raises(RuntimeFailed, match=r"labmodel==2\.0") as caught:
        processes.prepare(spec, tmp_path)
    assert caught.value.code == "install"
    assert [path for path in place.parent.iterdir() if path.is_dir()] == [place]
    processes.remove(handle)


def _plain(tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    folder.mkdir(exist_ok=True)
    return folder


def _pretend_unused(place: Path) -> None:
    long_ago = time.time() - UNUSED_S - 60
    os.utime(place / WHOLE, (long_ago, long_ago))


def _pretend_made(root: Path, name: str, *, whole: bool = True) -> Path:
    place = root / name
    place.mkdir(parents=True)
    if whole:
        (place / WHOLE).touch()
    return place


def test_what_nothing_used_for_long_is_deleted(tmp_path: Path) -> None:
    kept = _pretend_made(tmp_path, "kept")
    old = _pretend_made(tmp_path, "old")
    used = _pretend_made(tmp_path, "used")
    half = _pretend_made(tmp_path, "half", whole=False)
    for place in (old, used):
        _pretend_unused(place)
    Environments(tmp_path).clear({"used"})
    assert (kept.exists(), old.exists(), used.exists(), half.exists()) == (True, False, True, False)


def test_one_that_is_being_made_is_left_alone(tmp_path: Path) -> None:
    half = _pretend_made(tmp_path, "half", whole=False)
    with environments._alone(tmp_path / "half.lock"):
        Environments(tmp_path).clear(set())
    assert half.exists()


def test_a_folder_without_requirements_needs_none(tmp_path: Path) -> None:
    assert Environments(tmp_path / "own").make(_plain(tmp_path)) is None
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy==2.4.6  # why",
        "torch[opt] >= 2, < 3 ; python_version > '3.9'",
        "numpy==1.0 \\\n    --hash=sha256:abc",
        "--index-url https://download.pytorch.org/whl/cpu",
        "--extra-index-url=https://pypi.lab/simple",
        "model @ https://files.lab/model-1.0-py3-none-any.whl#sha256=abc",
        "# nothing",
        "",
    ],
)
def test_wheels_of_packages_may_be_named(line: str) -> None:
    check_requirements(line)


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        ".",
        "./package",
        "package/",
        "/opt/package",
        "package.tar.gz",
        "package.zip",
        "-r other.txt",
        "--no-binary :all:",
        "--no-binary=numpy",
        "--global-option x",
        "git+https://github.com/lab/model",
        "model @ git+https://github.com/lab/model",
        "model @ https://files.lab/model-1.0.tar.gz",
        "model @ git+https://x/y#egg=z.whl",
        "https://files.lab/model.tar.gz",
        "file:///etc",
    ],
)
def test_what_would_be_built_or_read_elsewhere_is_refused(line: str) -> None:
    with pytest.raises(RuntimeFailed) as caught:
        check_requirements(f"numpy\n{line}\n")
    assert caught.value.code == "environment"


def test_requirements_that_are_no_text_are_refused(tmp_path: Path) -> None:
    folder = _plain(tmp_path)
    for content in (b"\xff\xfe\x00", b"x" * 300_000):
        (folder / "requirements.txt").write_bytes(content)
        with pytest.raises(RuntimeFailed) as caught:
            Environments(tmp_path / "own").make(folder)
        assert caught.value.code == "environment"
