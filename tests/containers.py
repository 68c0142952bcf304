"""A pytest plug-in: a throw-away podman, with a store of its own, images that need no registry, and
a `podman` on PATH that knows these alone.

Tests take the fixture `containers` and carry `CONTAINERS`, which keeps them on one worker, so that
images are made once. What stands in the store ends with the session.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

CONTAINERS = (pytest.mark.containers, pytest.mark.xdist_group("containers"))
#: Without CAP_SYS_RESOURCE podman's own limits are refused; crun knows no hybrid control groups.
SETTINGS = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
#: `serve` answers /ping by a file and ends on SIGTERM; other arguments are run as a command.
SERVE = """\
#!/bin/sh
[ "$1" = serve ] || exec "$@"
echo "serving on 8080"
trap 'echo "asked to end"; kill $!; exit 0' TERM
httpd -f -v -p 8080 -h /www &
while :; do wait; done
"""
APPLETS = (
    "sh cat dd echo env false grep head httpd id kill ls mkdir mount sleep tail touch tr true wc"
)
UNUSED = ("test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "site-packages")
PYTHON = f"localhost/python:{sys.version_info.major}.{sys.version_info.minor}"
TINY = "localhost/tiny:1"


class Containers:
    """One store. `path` is a PATH whose `podman` knows it alone; `settings` its configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "containers.conf"
        self.settings.write_text(SETTINGS)
        program = folder / "bin" / "podman"
        program.parent.mkdir()
        program.write_text(
            f"#!/bin/sh\nexec {shutil.which('podman')} --root={folder}/store "
            f'--runroot={folder}/run "$@"\n'
        )
        program.chmod(0o755)
        self.path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        self._made: dict[str, str] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What programs need that are to find this podman."""
        return {"PATH": self.path, "CONTAINERS_CONF": str(self.settings)}

    def podman(self, *arguments: str, given: bytes | None = None) -> str:
        answer = subprocess.run(
            ["podman", *arguments],
            env={**os.environ, **self.environment},
            input=given,
            stdin=None if given is not None else subprocess.DEVNULL,
            capture_output=True,
            timeout=110,
        )
        assert answer.returncode == 0, answer.stderr.decode()
        return answer.stdout.decode().strip()

    def build(
        self, name: str, folder: Path, *, file: str = "Containerfile", **arguments: str
    ) -> str:
        """Build an image from a Containerfile, once; nothing is fetched from anywhere."""
        if name not in self._made:
            self.podman(
                "build", "--quiet", "--pull=never", "--network=none", f"--tag={name}",
                *(f"--build-arg={argument}={value}" for argument, value in arguments.items()),
                f"--file={folder / file}", str(folder),
            )  # fmt: skip
            self._made[name] = name
        return name

    def tiny(self) -> str:
        """busybox alone, 2 MB: `serve` is an HTTP server of files, which answers /ping."""
        return self._import(TINY, _tiny, '["/bin/serve"]')

    def python(self) -> str:
        """This interpreter with its standard library; `python` and a shell are on PATH."""
        return self._import(PYTHON, _python, "[]")

    def python_with(self, *packages: str) -> str:
        """`python` with folders of this environment's site-packages, such as "numpy"."""
        tag = "-".join(re.sub(r"[^a-z0-9]", "", package.lower()) for package in packages)
        name = f"localhost/python-{tag}:1"
        if name not in self._made:
            base, folder = self.python(), self.folder / tag
            own = Path(sysconfig.get_path("purelib"))
            target = Path(sys.base_prefix) / own.relative_to(sys.prefix)
            found = [
                part
                for package in packages
                for part in (own / package, own / f"{package}.libs")
                if part.exists()
            ]
            for part in found:
                inside = folder / target.relative_to("/") / part.name
                shutil.copytree(part, inside, copy_function=_link)
            compiled = [path for part in found for path in part.rglob("*.so*")]
            for library in _libraries(compiled):
                if not library.startswith(str(own)):
                    inside = folder / library.lstrip("/")
                    inside.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(os.path.realpath(library), inside)
            (folder / "Containerfile").write_text(f"FROM {base}\nCOPY . /\n")
            self.build(name, folder)
            shutil.rmtree(folder)
        return name

    def _import(self, name: str, fill: Callable[[tarfile.TarFile], None], entry: str) -> str:
        if name not in self._made:
            content = io.BytesIO()
            with tarfile.open(fileobj=content, mode="w") as archive:
                fill(archive)
            changes = [f"--change=ENTRYPOINT={entry}", "--change=ENV=PATH=/usr/local/bin:/bin"]
            self.podman("import", *changes, "-", name, given=content.getvalue())
            self._made[name] = name
        return name

    def close(self) -> None:
        self.podman("rm", "--all", "--force", "--time=0")
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def container_store() -> Iterator[Containers]:
    """One store for all tests of this process; podman allows its path 50 characters."""
    store = Containers(Path(tempfile.mkdtemp(prefix="containers-")))
    yield store
    store.close()


@pytest.fixture
def containers(
    container_store: Containers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Containers]:
    """Let this process and its children find the store; containers end with the test."""
    for name, value in container_store.environment.items():
        monkeypatch.setenv(name, value)
    yield container_store
    container_store.podman("rm", "--all", "--force", "--time=0")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _tiny(archive: tarfile.TarFile) -> None:
    _shell(archive)
    _text(archive, "bin/serve", SERVE, mode=0o755)
    _text(archive, "www/ping", "")
    _text(archive, "www/index.html", "hello\n")


def _python(archive: tarfile.TarFile) -> None:
    """The interpreter stays where it is on this machine, since it knows its library by that."""
    _shell(archive)
    program = Path(sys.base_prefix) / "bin" / Path(os.path.realpath(sys.executable)).name
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    archive.add(program, recursive=False)
    _symlink(archive, "usr/local/bin/python", str(program))
    _symlink(archive, "usr/local/bin/python3", str(program))
    archive.add(library, filter=_wanted)
    for path in _libraries([program, *library.glob("lib-dynload/*.so")]):
        archive.add(os.path.realpath(path), arcname=path, recursive=False)


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(member.name).parts
    return None if {"__pycache__", *UNUSED} & set(parts) else member


def _libraries(programs: Iterable[Path]) -> list[str]:
    """Return the shared libraries that these need, the loader among them."""
    said = subprocess.run(
        ["ldd", *map(str, programs)], capture_output=True, text=True, check=False
    ).stdout
    return sorted(set(re.findall(r"(/\S+\.so\S*) \(0x", said)))


def _shell(archive: tarfile.TarFile) -> None:
    busybox = Path(shutil.which("busybox") or "/bin/busybox")
    archive.add(os.path.realpath(busybox), arcname="bin/busybox", recursive=False)
    for path in _libraries([busybox]):  # none where it is Debian's busybox-static
        archive.add(os.path.realpath(path), arcname=path, recursive=False)
    for applet in APPLETS.split():
        _symlink(archive, f"bin/{applet}", "/bin/busybox")
    for folder in ("tmp", "run", "var/tmp", "opt/ml/model", "proc", "sys", "dev", "etc"):
        _folder(archive, folder)
    _text(archive, "etc/passwd", "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")


def _folder(archive: tarfile.TarFile, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, 0o755
    archive.addfile(member)


def _symlink(archive: tarfile.TarFile, name: str, target: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    archive.addfile(member)


def _text(archive: tarfile.TarFile, name: str, text: str, *, mode: int = 0o644) -> None:
    member, content = tarfile.TarInfo(name), text.encode()
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))
