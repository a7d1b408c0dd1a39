"""Write a removal as a script for a POSIX shell, to be read and run by people."""

from __future__ import annotations

import shlex
from pathlib import Path

from asl.app.reviewing.removal_plan import RemovalPlan
from asl.storage import write_bytes

_HEAD = """\
#!/bin/sh
# Moves the files below into a folder: sh THIS-SCRIPT [FOLDER]
# Nothing is deleted. A file whose size changed, or that is gone, is refused and named.
set -u
into=${1:-asl-removed}
moved=0
refused=0
move() { # path, bytes, place inside the folder
  if [ ! -f "$1" ] || [ "$(wc -c < "$1")" -ne "$2" ] || [ -e "$into/$3" ]; then
    printf 'refused: %s\\n' "$1" >&2
    refused=$((refused + 1))
  elif mkdir -p -- "$(dirname -- "$into/$3")" && mv -- "$1" "$into/$3"; then
    moved=$((moved + 1))
  else
    refused=$((refused + 1))
  fi
}

"""
_FOOT = """
printf '%s moved to %s, %s refused\\n' "$moved" "$into" "$refused"
[ "$refused" -eq 0 ]
"""


def removal_script(plan: RemovalPlan, *, root: Path) -> str:
    """Return the script of a plan.

    Args:
        plan: of the files.
        root: folder of the photos; files keep their path inside it.
    """
    lines = []
    for move in plan.moves:
        path = Path(move.path)
        inside = path.relative_to(root if path.is_relative_to(root) else path.anchor)
        words = shlex.quote(move.path), str(move.bytes), shlex.quote(inside.as_posix())
        lines.append(f"move {' '.join(words)}\n")
    return _HEAD + "".join(lines) + _FOOT


def write_script(plan: RemovalPlan, path: Path, *, root: Path) -> None:
    """Write the script of a plan, to be run with ``sh``.

    Raises:
        WriteError: the file cannot be written.
    """
    text = removal_script(plan, root=root)
    write_bytes(path, text.encode("utf-8", "surrogateescape"))
