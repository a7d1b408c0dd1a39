"""Damage files of every kind that asl writes, and read them as the verbs do.

  python scripts/fuzz/files.py --count 5000 --seed 0
  python scripts/fuzz/files.py --count 500 --only library index

Each case is read twice: as usual, and with every checksum compared (check_files=true). Outcomes:
refused (one line), same (the content is as written, e.g. damage in unused bytes), other (other
content is accepted). A fault, exit code 1: a traceback, a crash, a hang, or other content under the
check.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from campaign import Job, finish, options_of, run_cases
from file_kinds import KINDS, Kind
from mutations import mutated

from asl.errors import AslError


def job(kind: Kind, folder: Path, *, seed: int, name: str) -> Job:
    """Write the files of a kind once; damage one of them in each case, and read it twice."""
    warnings.simplefilter("ignore")
    shutil.rmtree(folder / "whole", ignore_errors=True)
    kind.write(folder / "whole")
    files = sorted(path for path in (folder / "whole").rglob("*") if path.is_file())
    content = {path.relative_to(folder / "whole"): path.read_bytes() for path in files}
    expected = [kind.read(folder / "whole", check) for check in (False, True)]

    def case(number: int) -> str:
        rng = random.Random(f"{seed} {name} {number}")
        place = folder / "damaged"
        shutil.rmtree(place, ignore_errors=True)
        for path, data in content.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(data)
        # By size, so that large files are not damaged too rarely, and small ones neither.
        sizes = [len(data) ** 0.5 for data in content.values()]
        (target,) = rng.choices(list(content), weights=sizes)
        mutation, changed = mutated(rng, content[target])
        (place / target).write_bytes(changed)
        found = [
            _outcome(lambda check=check: kind.read(place, check), expected[check])
            for check in (False, True)
        ]
        worst = next((one for one in found if one.startswith("many lines")), "")
        if worst:
            return f"{worst} {target} {mutation}"
        if found[1] == "other":
            return f"other, checked: {target} {mutation}"
        if found[0] == "other":
            return f"other, unchecked: {target} {mutation}"
        return found[1]

    return case


def _outcome(read: Callable[[], Any], expected: Any) -> str:
    try:
        value = read()
    except AslError as error:
        lines = str(error).splitlines()
        return "refused" if len(lines) == 1 else f"many lines: {lines[:2]}"
    return "same" if value == expected else "other"


def main() -> int:
    """Run the campaign, ``--count`` cases a kind."""
    options = options_of((__doc__ or "").splitlines()[0], count=200).parse_args()
    report = {}
    for name, kind in KINDS.items():
        if options.only and not any(name.startswith(word) for word in options.only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            make = partial(job, kind, Path(folder), seed=options.seed, name=name)
            report[name] = run_cases(make, options.count, limit=options.limit)
        print(name, report[name]["counts"], flush=True)
    bad = {"traceback", "crash", "hang", "many lines"}
    failed = finish(report, options.report, bad=bad)
    return failed or int(any("other, checked" in part["counts"] for part in report.values()))


if __name__ == "__main__":
    sys.exit(main())
