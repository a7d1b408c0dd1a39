"""Check files and folders that asl wrote: what they are, if they are whole.

Examples:
  asl doctor store                       a feature store, with its regions
  asl doctor runs/mine                   everything of ours in a folder
  asl doctor library.index --json        for scripts
  asl doctor asl-library --quiet         damaged ones only

Stores, indexes, models, checkpoints, libraries, caches, tables, descriptors and reports are
recognised by their content. Each is read to its end and compared with its checksums; for each the
output names kind, version, size, model and state, and for damage the cure. Nothing is changed.

Exit code: 0 everything is whole, 1 something is damaged, 2 wrong use, or nothing of ours is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(kw_only=True)
class DoctorConfig:
    """Options of ``asl doctor``.

    Attributes:
        path: file or folder to check.
        json: print one JSON object instead of text.
        quiet: print damaged files and the counts only.
    """

    path: Path
    json: bool = False
    quiet: bool = False
