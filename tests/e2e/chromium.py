"""Chromium, deaf to changes of the machine's networks.

It drops what it is fetching, from 127.0.0.1 too, with ERR_NETWORK_CHANGED once any interface
comes or goes, as those of containers do. It learns of them from netlink sockets and
goes without where the kernel refuses these; where seccomp is not to be had it stays as it is. Run
as a program: `chromium.py PROGRAM ARGUMENTS`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import shlex
import shutil
import socket
import struct
import sys
from pathlib import Path

#: AUDIT_ARCH of <linux/audit.h> and the number of socket(2).
MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
# <linux/prctl.h>, <linux/filter.h>, <linux/seccomp.h>
NO_NEW_PRIVS, SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16


def launcher(folder: Path) -> str:
    """Write a program into `folder` that starts the Chromium of PATH; return its path."""
    target = folder / "chromium"
    command = shlex.join([sys.executable, __file__, str(shutil.which("chromium"))])
    target.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    target.chmod(0o755)
    return str(target)


def refuse_netlink(machine: str) -> None:
    """Let socket(AF_NETLINK, …) fail in this process and those it starts: seccomp(2). Raises
    OSError.
    """
    architecture, number = MACHINES[machine]
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_IF_EQUAL, 0, 4, architecture),
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_EQUAL, 0, 2, number),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (JUMP_IF_EQUAL, 1, 0, socket.AF_NETLINK),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ERRNO | errno.EAFNOSUPPORT),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HP", len(steps), ctypes.addressof(code))
    control = ctypes.CDLL(None, use_errno=True).prctl
    for arguments in ((NO_NEW_PRIVS, 1, 0), (SECCOMP, MODE_FILTER, program)):
        if control(*arguments, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    if platform.machine() in MACHINES:
        with contextlib.suppress(OSError):
            refuse_netlink(platform.machine())
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606
