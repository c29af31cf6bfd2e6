"""Give up all files and the network, by the kernel itself, where it can: Linux from 5.13 on (Landlock).

The last fence round a stranger's query: if DuckDB's own ever fall, the process still opens, creates and cuts off no
file. What is open already stays open. The fence binds the calling thread and the threads it starts later: DuckDB must
have none of its own yet, for one of them wrote files all the same. Elsewhere nothing happens, and DuckDB's fences stand
alone.
"""

from __future__ import annotations

import ctypes
import os
import sys

# System calls, numbered alike on every architecture of Linux but alpha.
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_ASK_VERSION = 1
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS


class _Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr; a kernel that knows fewer fields takes the others as zero."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def give_up_files() -> bool:
    """Forbid this thread, for good, every file it has not open, and TCP; return whether the kernel can."""
    if not sys.platform.startswith("linux"):
        return False
    kernel = ctypes.CDLL(None, use_errno=True)
    version = kernel.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    if version < 1:
        return False
    n_file_rights = 13 + sum(version >= since for since in (2, 3, 5))  # refer, truncate, device ioctl came later
    rules = _Ruleset(
        files=2**n_file_rights - 1, network=0b11 if version >= 4 else 0, scopes=0b11 if version >= 6 else 0
    )
    ruleset = kernel.syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.sizeof(rules), 0)
    if ruleset < 0:
        return False
    try:
        kernel.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return bool(kernel.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)
