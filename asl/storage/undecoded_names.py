r"""Names of files that are not UTF-8, in text for people and programs.

Python decodes a byte that is not UTF-8 to a lone surrogate, which no UTF-8 file can hold. In
tables and pages it is written as ``\xff``, in our JSON by JSON's own escape, which leads back to
the file.
"""

from __future__ import annotations

import codecs
import os
import re

PRINTABLE = "asl-printable"  # error handler of codecs: ``open(..., errors=PRINTABLE)``
IN_JSON = "backslashreplace"  # writes a lone surrogate as JSON does
_FIRST_BYTE = 0xDC00  # surrogate that stands for byte 0
_ESCAPED_BYTE = re.compile(r"\\x([89a-f][0-9a-f])")


def printable_name(name: str) -> str:
    """Return a file name as valid text; bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", PRINTABLE).decode("utf-8")


def path_of_printable(shown: str) -> str:
    """Return the path of an existing file that tables show by this name, else the name itself.

    Args:
        shown: path as :func:`printable_name` returned it.
    """
    if os.sep != "/" or not _ESCAPED_BYTE.search(shown) or os.path.lexists(shown):
        return shown
    path = _ESCAPED_BYTE.sub(lambda found: chr(_FIRST_BYTE + int(found[1], 16)), shown)
    return path if os.path.lexists(path) else shown


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    escaped = (_escaped(ord(letter)) for letter in error.object[error.start : error.end])
    return "".join(escaped), error.end


def _escaped(surrogate: int) -> str:
    byte = surrogate - _FIRST_BYTE
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else f"\\u{surrogate:04x}"


codecs.register_error(PRINTABLE, _escape)
