"""Turn the errors of a verb into one line and an exit code.

Exit code 0: everything asked for was done. 2: wrong use (an unknown key, a missing value, a path
that is not there). 1: anything else, with one line for errors that a user can act on. 130: stopped
from the keyboard.
"""

from __future__ import annotations

import ctypes
import sqlite3
import sys
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool

from asl.console.terminal_text import terminal_text
from asl.errors import AslError, UsageError

STOPPED = 130
EXIT_CODES = (
    "Exit code: 0 everything was done, 1 failed, 2 wrong use, 130 stopped from the keyboard."
)
_M_TRIM_THRESHOLD = -1  # these three are from glibc's malloc.h
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3


def exit_code(work: Callable[[], int | None]) -> int:
    """Run ``work``; return its exit code, or that of its error after printing one line of it."""
    try:
        return work() or 0
    except UsageError as error:
        return report(error, 2)
    except KeyboardInterrupt:
        return report("stopped; the same command resumes", STOPPED)
    except (FileExistsError, NotADirectoryError) as error:
        return report(
            f"{error.filename}: a file is where a folder should be; choose another path", 2
        )
    except OSError as error:
        if error.filename is None or error.strerror is None:
            return report(error, 1)
        return report(f"{error.filename}: {error.strerror}; check the path and its permissions", 1)
    except (AslError, sqlite3.Error, BrokenProcessPool) as error:
        return report(error, 1)
    except Exception as error:
        # Two errors of torch and Lightning, by name: neither is imported before it is needed.
        kind = type(error).__name__
        if kind == "OutOfMemoryError":
            cause = str(error).splitlines()[0]
            hint = "lower data.identities, batch_size, or memory"
            return report(f"the GPU has no memory left ({cause}); {hint}", 1)
        if kind == "MisconfigurationException":
            return report(error, 2)
        raise


def report(error: object, code: int) -> int:
    """Print one line of an error; return the exit code."""
    print(f"error: {terminal_text(error, lines=True)}", file=sys.stderr)
    return code


def keep_memory() -> None:
    """Ask glibc to keep large buffers instead of returning them to the system after every step.

    On virtual machines the page faults of freshly mapped buffers can cost more than the arithmetic.
    The environment variables ``MALLOC_*`` do the same but must be set before the process starts;
    without glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for option, value in (
        (_M_MMAP_THRESHOLD, 2**30),
        (_M_TRIM_THRESHOLD, 2**31 - 1),
        (_M_TOP_PAD, 2**28),
    ):
        mallopt(option, value)
