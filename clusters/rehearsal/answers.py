"""What a fake program prints and how it ends."""

from __future__ import annotations


class Answer:
    def __init__(self, out: str = "", err: str = "", code: int = 0, raw: bytes = b"") -> None:
        self.out, self.err, self.code, self.raw = out, err, code, raw

    def bytes_out(self) -> bytes:
        return self.raw or self.out.encode()
