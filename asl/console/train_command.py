"""Start ``asl train``: Hydra composes its configuration over the dataclasses of its schema.

Training has presets, experiments and sweeps, where Hydra's grammar earns its place; every other
verb has plain keys.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asl.console.bounded_yaml import check_yaml
from asl.console.configuration import config_dir, flatten_keys
from asl.console.exit_codes import exit_code, keep_memory, report
from asl.console.key_names import unknown_key
from asl.console.train_words import OPEN_PREFIXES, is_sweep, rewrite, schema_keys
from asl.counts import counted
from asl.errors import AslError, UsageError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

_UNKNOWN_KEY = re.compile(r"Key '([^']+)' (?:is )?not in")
_UNKNOWN_CHOICE = re.compile(
    r"Could not find '([^']+)/([^']*)'\s+Available options in \S+:\s*(.*?)\s*Config search path",
    re.DOTALL,
)
_OVERRIDE = re.compile(r"Could not override '([^']+)'")
# What OmegaConf says of a value of another type -> what was expected.
_WRONG_TYPES = (
    (re.compile(r"Value '(.*)' of type '\w+' could not be converted to Integer"), "a whole number"),
    (re.compile(r"Value '(.*)' of type '\w+' could not be converted to Float"), "a number"),
    (re.compile(r"Value '(.*)' is not a valid bool"), "true or false"),
    (re.compile(r"override [^=\n]+=(.*)\n.*is not a ListConfig"), "a list, such as [64]"),
    (
        re.compile(r"override [^=\n]+=(.*)\n(?s:.*)Cannot merge (?s:.*)reference_type=List"),
        "a list, such as [64]",
    ),
    (
        re.compile(r"override [^=\n]+=(.*)\n(?s:.*)Cannot merge (?s:.*)reference_type=Dict"),
        "keys of its own",
    ),
    (re.compile(r"override [^=\n]+=(.*)\n.*is not Optional"), "a value"),
    (re.compile(r"override [^=\n]+=(.*)\n.*Cannot assign \w+ to Dict"), "keys of its own"),
)
_SEVERAL_VALUES = re.compile(r"Ambiguous value for argument '([^=']+)=(.*)'")
_FULL_KEY = re.compile(r"full_key: (\S+)")
_RUNS, _SWEEPS = "outputs", "multirun"  # where neither output= nor Hydra's keys name a folder
_ADDED_FOLDER_FLAGS = ("--config-dir", "-cd")
_FOLDER_FLAGS = (*_ADDED_FOLDER_FLAGS, "--config-path", "-cp")
# Hydra answers these itself, without running a job.
_HYDRA_FLAGS = {
    "--hydra-help",
    "--info",
    "-i",
    "--version",
    "--shell-completion",
    "-sc",
    "--cfg",
    "-c",
}


def compose_train(overrides: Sequence[str] = ()) -> Any:
    """Return the configuration of a training as a ``TrainConfig``; its targets are not checked.

    Raises:
        UsageError: an unknown key or preset (the nearest are named), or a value of the wrong type.
    """
    return _compose(rewrite(overrides))


def start_train(
    run: Callable[[Any], int | None], check: Callable[[Any], Any], arguments: Sequence[str]
) -> int:
    """Run ``asl train``, one job or a sweep; return the exit code.

    Args:
        run: trains by a ``TrainConfig`` and returns an exit code.
        check: refuses a ``TrainConfig``, before Hydra makes the folder of the run.
        arguments: words after ``asl train``.
    """
    failed: list[_Failure] = []

    def read_and_run() -> int:
        words = rewrite(arguments)
        _check_folders(words)
        if not _HYDRA_FLAGS & {word.split("=")[0] for word in words}:
            sweep = is_sweep(words)
            overrides = _first_job(words) if sweep else _overrides(words)
            config = _compose([*_search_path(words), *overrides])
            if not sweep:
                check(config)
            _make_folder(config.output, words)
        keep_memory()
        _run_hydra(_job(run, failed), words)
        return 0

    code = exit_code(read_and_run)
    if failed and is_sweep(arguments):
        names = "; ".join(failure.job for failure in failed)
        return report(f"{counted(len(failed), 'job')} of the sweep failed: {names}", 1)
    return failed[0].code if failed else code


@dataclass(frozen=True)
class _Failure:
    """A job that ended with another code than 0."""

    job: str
    code: int


def _make_folder(output: str | None, words: Sequence[str]) -> None:
    """Make the folder in which Hydra writes, whose error is a traceback.

    Args:
        output: of the training; None: below ``outputs``.
        words: of the command, which may name Hydra's folder by Hydra's own key.

    Raises:
        AslError: it cannot be created.
    """
    from asl.storage import make_folder

    if any(word.lstrip("+").startswith(("hydra.run.dir=", "hydra.sweep.dir=")) for word in words):
        return
    if is_sweep(words):
        make_folder(_SWEEPS, name="folder of the sweep")
    else:
        make_folder(output or _RUNS, name="output")


def _run_hydra(job: Callable[[DictConfig], Any], words: Sequence[str]) -> None:
    import hydra

    _register()
    before = sys.argv
    # Hydra reads its words there, and so does Lightning when it starts further processes.
    sys.argv = [before[0], *words]
    try:
        hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="train")(job)()
    finally:
        sys.argv = before


def _job(run: Callable[[Any], int | None], failed: list[_Failure]) -> Callable[[DictConfig], Any]:
    """Return the function that Hydra calls for every job; a failing one does not end a sweep."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    def job(tree: DictConfig) -> int:
        logging.captureWarnings(True)
        facts = HydraConfig.get()
        if tree.output is None:
            tree.output = facts.runtime.output_dir
        tree.experiment = facts.runtime.choices.get("experiment")
        sweep = facts.mode == RunMode.MULTIRUN
        try:
            code = exit_code(lambda: run(_plain(tree)))
        except Exception:
            if not sweep:
                raise
            logging.getLogger(__name__).exception("job %s", facts.job.num)
            code = 1
        if code and sweep and not facts.launcher._target_.endswith("BasicLauncher"):
            # The job may be another process, whose list nobody reads.
            raise AslError(f"job {facts.job.num} of the sweep failed")
        if code:
            swept = _swept_keys(sys.argv[1:])
            values = [word for word in facts.overrides.task if word.split("=")[0] in swept]
            failed.append(_Failure(f"{facts.job.num} ({' '.join(values)})" if sweep else "", code))
        return code

    return job


def _compose(words: Sequence[str]) -> Any:
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException

    _register()
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(config_dir())):
        try:
            tree = hydra.compose("train", overrides=list(words), return_hydra_config=True)
            experiment = tree.hydra.runtime.choices.get("experiment")
            with open_dict(tree):
                del tree["hydra"]
            for key in sorted(OmegaConf.missing_keys(tree)):
                raise UsageError(f"{key}: needed, e.g. `{key}=...`; --help explains")
            tree.experiment = experiment
            return _plain(tree)
        except OverrideParseException as error:
            word = " ".join(str(error.override).split())
            raise UsageError(
                f"{word}: cannot be read; put a value with commas, equals signs or brackets in "
                "quotes, such as \"key='a,b'\""
            ) from error
        except (HydraException, OmegaConfBaseException, ValueError) as error:  # ValueError: `=3`
            raise _explained(error) from error


def _plain(tree: DictConfig) -> Any:
    """Return the tree as an instance of the schema.

    Raises:
        UsageError: a value of the wrong type.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    known = schema_keys()
    for key in flatten_keys(OmegaConf.to_container(tree, resolve=False)):  # type: ignore[arg-type]
        # Hydra's `+` adds keys that no schema has; those of targets are checked by their classes.
        if key not in known and not key.startswith(OPEN_PREFIXES):
            raise unknown_key("train", key, known)
    try:
        return OmegaConf.to_object(tree)
    except OmegaConfBaseException as error:
        raise _explained(error) from error


def _explained(error: Exception) -> UsageError:
    cause = f"{error}\n{error.__cause__ or ''}"
    unknown = _UNKNOWN_KEY.search(cause)
    choice = _UNKNOWN_CHOICE.search(cause)
    if choice:
        group, given, offered = choice.groups()
        return UsageError(
            f"{group}: expected one of {', '.join(offered.split())}, got {given!r}; "
            "--config-dir FOLDER adds files of your own"
        )
    several = _SEVERAL_VALUES.search(cause)
    if several:
        return UsageError(
            f"{several[1]}: expected one value, got {several[2]}; write a list in brackets, or add "
            "--multirun to train once with each"
        )
    key = _FULL_KEY.search(cause)
    for pattern, expected in _WRONG_TYPES:
        if key and (found := pattern.search(cause)):
            return UsageError(f"{key[1]}: expected {expected}, got {found[1] or repr('')}")
    if not unknown:
        return UsageError(" ".join(cause.split()))
    where = key or _OVERRIDE.search(cause) or unknown
    return unknown_key("train", where[1].lstrip("+"), _known_keys())


def _known_keys() -> list[str]:
    import hydra
    from omegaconf import OmegaConf

    tree: Any = OmegaConf.to_container(hydra.compose("train"), resolve=False)
    return flatten_keys(tree)


def _register() -> None:
    """Give Hydra the schema and the resolver of the folder of a run."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    from asl.console.schemas.train_config import TrainConfig

    ConfigStore.instance().store(name="base_train", node=TrainConfig)
    OmegaConf.register_new_resolver("run_dir", _run_dir, replace=True, use_cache=True)


def _run_dir(output: str | None, name: str) -> str:
    return output or f"{_RUNS}/{name}-{datetime.now():%Y%m%d-%H%M%S}"


def _overrides(words: Sequence[str]) -> list[str]:
    """Return the words that are overrides: no flags, no values of flags."""
    pairs = zip(("", *words), words, strict=False)
    return [
        word for before, word in pairs if not word.startswith("-") and before not in _FOLDER_FLAGS
    ]


def _sweeps(words: Sequence[str]) -> Iterator[tuple[str, Override | None]]:
    """Yield every override, parsed where it is one of a sweep."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    for word in _overrides(words):
        try:
            override = OverridesParser.create().parse_override(word)
        except OverrideParseException:
            yield word, None  # the composition reports it
        else:
            yield word, override if override.is_sweep_override() else None


def _first_job(words: Sequence[str]) -> list[str]:
    """Return the overrides of the first job of a sweep, to check its keys before any job runs."""
    return [
        f"{sweep.get_key_element()}={next(sweep.sweep_string_iterator())}" if sweep else word
        for word, sweep in _sweeps(words)
    ]


def _swept_keys(words: Sequence[str]) -> set[str]:
    """Return the keys that differ between the jobs of a sweep."""
    return {sweep.get_key_element() for _, sweep in _sweeps(words) if sweep}


def _folders(words: Sequence[str], flags: Sequence[str]) -> list[Path]:
    """Return the folders of configuration that flags name, as ``--flag FOLDER`` or with ``=``."""
    pairs = zip(words, (*words[1:], ""), strict=False)
    parts = [(*word.partition("="), following) for word, following in pairs]
    return [Path(value or following) for name, _, value, following in parts if name in flags]


def _search_path(words: Sequence[str]) -> list[str]:
    """Return the override that makes presets of ``--config-dir`` known to the composition."""
    found = [f"'file://{folder.resolve()}'" for folder in _folders(words, _ADDED_FOLDER_FLAGS)]
    return [f"hydra.searchpath=[{','.join(found)}]"] if found else []


def _check_folders(words: Sequence[str]) -> None:
    """Check the YAML files of further folders of configuration before Hydra reads one."""
    for folder in _folders(words, _FOLDER_FLAGS):
        for path in sorted(folder.rglob("*.yaml")):
            check_yaml(path)
