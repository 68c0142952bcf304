"""A site whose work folder is a file system of a few MiB, which a test fills."""

from __future__ import annotations

import os
import subprocess

from bench.sites import Site

SIZE_MIB = 16


class SmallDisk(Site):
    kind = "small disk"

    @classmethod
    def missing(cls) -> str:
        return "" if os.geteuid() == 0 else "only root may mount a small file system"

    def settings(self) -> str:
        return "minimum_free_mib = 1\n"

    def open(self) -> None:
        folder = self.stack.work(self.number)
        folder.mkdir(exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=700", "labportal", folder]
        subprocess.run(mount, check=True)

    def heal(self) -> None:
        (self.stack.work(self.number) / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", self.stack.work(self.number)], check=False)
