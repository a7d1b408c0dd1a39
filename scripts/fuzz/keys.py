"""Give random values to every key of every verb: one line, exit code 2, never a traceback.

  python scripts/fuzz/keys.py --count 2000 --seed 0

The inputs of the commands are not there, so that no verb does any work; a value may be right, and
the command is refused all the same. ``--count`` is that of each verb.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

from campaign import Job, finish, options_of, run_cases

from asl.cli import start
from asl.console.schema_groups import Key, keys_of
from asl.console.train_words import schema_keys
from asl.console.verbs import VERBS

BASES = {
    "scan": ["photos=nowhere"],
    "leaks": ["sets=nowhere,elsewhere"],
    "explain": ["first=nowhere", "second=nowhere"],
    "serve": ["port=0", "library=library", "model=nowhere"],
    "extract": ["images=nowhere", "output=out"],
    "search": ["queries=nowhere", "references=nowhere", "output=pairs.csv"],
    "evaluate": ["queries=nowhere", "references=nowhere", "truth=nowhere", "output=out"],
    "reproduce": ["benchmark=folder", "root=nowhere"],
    "edit": ["images=nowhere", "output=out"],
    "export": ["model=nowhere", "output=model.pt2"],
    "doctor": ["path=nowhere"],
    "train": ["data=folder", "data.train=nowhere", "output=out"],
}
# Keys whose right values start real work, or take the place of the missing input.
KEPT = {"photos", "model", "images", "queries", "references", "root", "benchmark", "path"}
KEPT |= {"sets", "first", "second"}
KEPT |= {"library", "data", "data.train", "data.benchmark", "hydra"}
_PIECES = (
    *("", " ", "0", "1", "-1", "2", "0.5", "-0.0", "1e3", "1e-9", "1e308", "1e400", "nan", "-inf"),
    *("99999999999999999999", "0x10", "1_000", "½", "١", "true", "null", "none", "~", "auto"),
    *("cpu", "cuda", "cuda:0", "cuda:-1", "[]", "[1,2]", "[1,", "{}", "{a: b}", "a,b", ",", "a b"),
    *("'", '"', "\\", "/", "..", "../..", "/dev/null", "~/x", "$HOME", "${x}", "${oc.env:HOME}"),
    *("!!python/object:os.system", "*a", "&a", "=", "a=b", "--", "-", "%s", "{0}", "[red]", "[/]"),
    *("é", "\u202e", "\x1b[31m", "\t", "\n", "\ud800", "x" * 300, "none,coarse", "fine", "csv"),
)


def value_of(rng: random.Random, key: Key | None) -> str:
    """Draw a value: a choice of the key, a number of any size, or pieces of text."""
    kind = rng.random()
    if key is not None and key.choices and kind < 0.2:
        return rng.choice(list(key.choices))
    if kind < 0.4:
        number = rng.choice([rng.uniform(-10, 10), 10 ** rng.uniform(-12, 30)])
        return str(rng.choice([int(number), number, -number]))
    return "".join(rng.choice(_PIECES) for _ in range(rng.choice([1, 1, 1, 2, 3])))


def job(verb: str, folder: Path, *, seed: int) -> Job:
    """Start the verb with one to three random keys a case."""
    os.chdir(folder)
    keys = schema_keys() if verb == "train" else keys_of(VERBS[verb].schema)
    signal.signal = lambda *_: None  # type: ignore[assignment]
    with contextlib.redirect_stderr(io.StringIO()):
        start(verb, BASES[verb])  # whatever it imports is loaded before the clock runs

    def case(number: int) -> str:
        rng = random.Random(f"{seed} {verb} {number}")
        names = [name for name in keys if name.split(".")[0] not in KEPT and name not in KEPT]
        drawn = rng.sample(names, min(len(names), rng.choice([1, 1, 2, 3])))
        words = [word for word in BASES[verb] if word.split("=")[0] not in drawn]
        words += [f"{name}={value_of(rng, keys[name])}" for name in drawn]
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = start(verb, words)
        left = sorted(path.name for path in folder.iterdir())
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        lines = [line for line in said.getvalue().splitlines() if line]
        if left and left != ["library"]:  # the lock of a service
            return f"files left: {left} {words}"
        if code != 2:
            return f"exit code {code}: {lines[-1:]} {words}"
        return "refused" if len(lines) == 1 else f"many lines: {lines[:3]} {words}"

    return case


def main() -> int:
    """Run the campaign, ``--count`` cases a verb."""
    options = options_of((__doc__ or "").splitlines()[0], count=200).parse_args()
    report = {}
    for verb in BASES:
        if options.only and verb not in options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            make = partial(job, verb, Path(folder), seed=options.seed)
            report[verb] = run_cases(make, options.count, limit=options.limit)
        print(verb, report[verb]["counts"], flush=True)
    outcomes = {name for part in report.values() for name in part["counts"]}
    return finish(report, options.report, bad=outcomes - {"refused"})


if __name__ == "__main__":
    sys.exit(main())
