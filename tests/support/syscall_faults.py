"""Faults of the disk that the kernel itself delivers to a process of the tests: for what a mock would only pretend.

Linux only, and the process keeps the fault until it ends: use it in a process of its own.
"""

import ctypes
import errno
import platform
import struct

FSYNC = {"x86_64": (74, 75), "aarch64": (82, 83)}  # numbers of fsync and fdatasync
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # of the kernel's packet filter
ALLOW, FAIL_WITH = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))


def break_fsync() -> None:
    """From now on fsync and fdatasync of this process answer EIO, as a failing disk does."""
    fsync, fdatasync = FSYNC[platform.machine()]
    steps = [
        (LOAD, 0, 0, 0),  # the number of the system call
        (JUMP_IF_EQUAL, 1, 0, fsync),
        (JUMP_IF_EQUAL, 0, 1, fdatasync),
        (RETURN, 0, 0, FAIL_WITH | errno.EIO),
        (RETURN, 0, 0, ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = _Program(len(steps), ctypes.cast(code, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)
    )
    if done != 0:
        raise OSError(ctypes.get_errno(), "seccomp is not allowed here")
