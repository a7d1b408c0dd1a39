"""Import every script, so that none names a module or a function that has moved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_script_imports() -> None:
    scripts = sorted((ROOT / "scripts").glob("*.py"))
    assert len(scripts) >= 20
    code = (
        f"import importlib.util, sys; sys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
        f"for path in {[str(path) for path in scripts]!r}:\n"
        "    spec = importlib.util.spec_from_file_location('script', path)\n"
        "    module = importlib.util.module_from_spec(spec)\n"
        "    sys.modules['script'] = module\n"
        "    spec.loader.exec_module(module)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
