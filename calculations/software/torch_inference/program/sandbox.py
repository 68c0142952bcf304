"""Shuts a process in: from then on it can compute, and read and write what it has open, and nothing
else. It opens no file, calls nobody, starts nothing.

seccomp by prctl, of the kernel's x86-64 and arm64 tables; see linux/seccomp.h.
"""

from __future__ import annotations

import ctypes
import platform
import resource
import struct

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_SET_DUMPABLE = 38, 22, 4
SECCOMP_MODE_FILTER = 2
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # REFUSE: EPERM
NUMBER, ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
X32 = 0x40000000
MIB = 2**20

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Whatever reaches beyond the process: files, sockets, other processes, the kernel itself. Numbers
# of x86-64 and arm64, -1 where one has no such call.
REFUSED = {
    **{"open": (2, -1), "creat": (85, -1), "openat": (257, 56), "openat2": (437, 437)},
    **{
        "open_by_handle_at": (304, 265),
        "name_to_handle_at": (303, 264),
        "memfd_create": (319, 279),
    },
    **{"socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200)},
    **{"listen": (50, 201), "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206)},
    **{"sendmsg": (46, 211), "sendmmsg": (307, 269), "recvmsg": (47, 212)},
    **{"fork": (57, -1), "vfork": (58, -1), "clone": (56, 220), "clone3": (435, 435)},
    **{"execve": (59, 221), "execveat": (322, 281), "kill": (62, 129), "tkill": (200, 130)},
    **{"tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "pidfd_open": (434, 434)},
    **{"pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "ptrace": (101, 117)},
    **{"process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272)},
    **{"unlink": (87, -1), "unlinkat": (263, 35), "rename": (82, -1), "renameat": (264, 38)},
    **{"renameat2": (316, 276), "link": (86, -1), "linkat": (265, 37), "symlink": (88, -1)},
    **{"symlinkat": (266, 36), "mkdir": (83, -1), "mkdirat": (258, 34), "rmdir": (84, -1)},
    **{"mknod": (133, -1), "mknodat": (259, 33), "truncate": (76, 45), "chmod": (90, -1)},
    **{"fchmodat": (268, 53), "chown": (92, -1), "lchown": (94, -1), "fchownat": (260, 54)},
    **{"setxattr": (188, 5), "utimensat": (280, 88), "chdir": (80, 49), "chroot": (161, 51)},
    **{"mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "unshare": (272, 97)},
    **{"setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241)},
    **{"userfaultfd": (323, 282), "io_setup": (206, 0), "io_submit": (209, 2)},
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "keyctl": (250, 219)},
    **{"add_key": (248, 217), "request_key": (249, 218), "init_module": (175, 105)},
    **{"finit_module": (313, 273), "kexec_load": (246, 104), "reboot": (169, 142)},
    **{"ioctl": (16, 29), "prctl": (157, 167), "setrlimit": (160, 164), "prlimit64": (302, 261)},
    **{"shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180)},
}


class NoSandbox(RuntimeError):
    """This machine cannot shut a process in."""


def limit(*, memory: int, written: int, seconds: int) -> None:
    """Bound what the process may use: bytes of address space, bytes of a file, processor time."""
    for what, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (most, most))


def enter() -> None:
    """Shut this process in, for good. Raises NoSandbox."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise NoSandbox(f"no sandbox is known for {machine}")
    column = list(ARCHITECTURES).index(machine)
    refused = sorted(numbers[column] for numbers in REFUSED.values() if numbers[column] >= 0)
    code = _program(ARCHITECTURES[machine], refused)
    library = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(code)

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    program = Program(len(code) // 8, ctypes.addressof(buffer))
    library.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise NoSandbox(f"prctl: errno {ctypes.get_errno()}")
    if library.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        raise NoSandbox(f"seccomp: errno {ctypes.get_errno()}")


def _program(architecture: int, refused: list[int]) -> bytes:
    """Return the filter: another architecture is killed, what is refused gets EPERM."""
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, len(refused) + 1, 0, X32),
    ]
    for index, number in enumerate(refused):
        steps.append((EQUAL, len(refused) - index, 0, number))
    steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
