"""Leave files out of a listing by their names and sizes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch


@dataclass(frozen=True)
class FileFilter:
    """Files that a scan leaves out.

    Attributes:
        exclude: patterns with ``*`` and ``?`` of file names, folder names, or paths inside the
            scanned folder.
        min_bytes: smaller files are left out.
    """

    exclude: Sequence[str] = ()
    min_bytes: int = 0

    def keeps(self, path: str, root: str) -> bool:
        """Check that a file is not left out; one whose size cannot be read is kept.

        Args:
            path: absolute path.
            root: absolute path of the scanned folder.
        """
        if self.exclude:
            inside = os.path.relpath(path, root).replace(os.sep, "/")
            parts = [inside, *inside.split("/")]
            if any(fnmatch(part, pattern) for part in parts for pattern in self.exclude):
                return False
        try:
            return not self.min_bytes or os.path.getsize(path) >= self.min_bytes
        except OSError:
            return True
