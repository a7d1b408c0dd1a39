"""Write requirements.lock: the versions of constraints.txt with the hashes of their files.

  pip install uv && python scripts/write_lock.py

For installations that accept nothing but these files:

  pip install --require-hashes -r requirements.lock && pip install --no-deps asl-icd

The hashes are those of the package index, for all platforms and Python 3.11 and later.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from asl.storage import atomic_text

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
EXTRAS = ("serve", "milvus", "photos")


def main() -> int:
    """Resolve, compare with the constraints, write."""
    beside = Path(sys.executable).with_name("uv")
    tool = shutil.which("uv") or (str(beside) if beside.exists() else "")
    if not tool:
        print("error: uv is not installed; `pip install uv`", file=sys.stderr)
        return 2
    command = [tool, "pip", "compile", "pyproject.toml", "--quiet", "--generate-hashes"]
    command += ["--universal", "--python-version", "3.11", "--no-header", "--no-annotate"]
    command += ["-c", "constraints.txt", *(word for name in EXTRAS for word in ("--extra", name))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"error: uv cannot resolve the requirements: {done.stderr}", file=sys.stderr)
        return 1
    with atomic_text(LOCK) as file:
        file.write(f"# Written by scripts/write_lock.py; extras {', '.join(EXTRAS)}.\n")
        file.write(done.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
