"""Files in the spool of the carrier `ssh`: brought once, gone on with, checked."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clusters.agent.spool import KEEP_S, Damaged, Spool, from_store

CONTENT = b"0123456789" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path)
    spool.open()
    return spool


@pytest.fixture
def store() -> Iterator[str]:
    """An S3 store as far as a signed address needs one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
            self.send_response(206 if begin else 200)
            if self.path == "/gone":
                self.send_error(404)
                return
            self.send_header("Content-Length", str(len(CONTENT) - begin))
            self.end_headers()
            self.wfile.write(CONTENT[begin:])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_file_is_brought_once_however_many_wait(spool: Spool) -> None:
    calls: list[int] = []

    def get(part: Path, have: int) -> None:
        calls.append(have)
        part.write_bytes(CONTENT)

    waiting = [
        threading.Thread(target=spool.bring, args=(SHA256, len(CONTENT), get)) for _ in range(5)
    ]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    assert calls == [0]
    assert (spool.incoming / SHA256).read_bytes() == CONTENT


def test_what_is_there_is_gone_on_with(spool: Spool) -> None:
    (spool.incoming / f"{SHA256}.part").write_bytes(CONTENT[:300])

    def get(part: Path, have: int) -> None:
        with part.open("ab") as stream:
            stream.write(CONTENT[have:])

    assert spool.bring(SHA256, len(CONTENT), get).read_bytes() == CONTENT


def test_a_bad_beginning_is_thrown_away_once(spool: Spool) -> None:
    (spool.incoming / f"{SHA256}.part").write_bytes(b"x" * 300)
    calls: list[int] = []

    def get(part: Path, have: int) -> None:
        calls.append(have)
        with part.open("ab") as stream:
            stream.write(CONTENT[have:])

    assert spool.bring(SHA256, len(CONTENT), get).read_bytes() == CONTENT
    assert calls == [300, 0]


def test_a_file_that_arrives_damaged_twice_is_refused(spool: Spool) -> None:
    with pytest.raises(Damaged):
        spool.bring(SHA256, len(CONTENT), lambda part, _: part.write_bytes(b"x" * len(CONTENT)))
    assert list(spool.incoming.iterdir()) == []


@pytest.mark.parametrize("have", [0, 300])
def test_a_store_is_fetched_from_by_its_address(store: str, tmp_path: Path, have: int) -> None:
    part = tmp_path / "part"
    part.write_bytes(CONTENT[:have])
    from_store(f"{store}/file", part, have)
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", ""])
def test_only_a_stores_address_is_followed(tmp_path: Path, url: str) -> None:
    with pytest.raises(OSError, match="address"):
        from_store(url, tmp_path / "part", 0)


def test_a_link_is_not_written_through(spool: Spool, tmp_path: Path) -> None:
    other = tmp_path / "precious"
    other.write_bytes(b"keep")
    (spool.incoming / f"{SHA256}.part").symlink_to(other)
    spool.bring(SHA256, len(CONTENT), lambda part, _: part.write_bytes(CONTENT))
    assert other.read_bytes() == b"keep"


def test_what_nobody_used_for_long_goes(spool: Spool, tmp_path: Path) -> None:
    source = tmp_path / "out.dat"
    source.write_bytes(CONTENT)
    with source.open("rb") as stream:
        laid = spool.offer("run-1-abc", stream)
    assert laid.read_bytes() == CONTENT
    spool.tidy(laid.stat().st_mtime + KEEP_S - 1)
    assert laid.exists()
    spool.tidy(laid.stat().st_mtime + KEEP_S + 1)
    assert not laid.exists()
    assert source.exists()
