"""One way to start: Hydra composes the configuration, a plain function does the work, errors become exit codes.

Exit code 0: everything asked for was done. 2: wrong use (an unknown key, a missing value, a path
that is not there). 1: anything else, with one line for errors that a user can act on.
"""

from __future__ import annotations

import ctypes
import logging
import sqlite3
import sys
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from asl.console.configuration import check_targets, config_dir, explain_unknown_key, flatten_keys
from asl.types import AslError, UsageError

Schema = TypeVar("Schema")
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # from glibc's malloc.h
_HYDRA_FLAGS = {
    "--multirun",
    "-m",
    "--hydra-help",
    "--info",
    "-i",
    "--version",
    "--shell-completion",
    "-sc",
    "--cfg",
    "-c",
}


def entry_point(
    config_name: str, schema: type[Schema], run: Callable[[Schema], int | None]
) -> Callable[[], None]:
    """Make the ``main`` of an entry module.

    Args:
        config_name: ``conf/<config_name>.yaml`` (tools: ``conf/tools/``); its defaults list starts
            with ``base_<config_name>``.
        schema: the dataclass that names every key and its type.
        run: takes an instance of ``schema``; what it returns is the exit code (None is 0). The
            docstring of its module is what ``--help`` prints.
    """
    ConfigStore.instance().store(name=f"base_{config_name}", node=schema)
    OmegaConf.register_new_resolver("run_dir", _run_dir, replace=True, use_cache=True)

    def main() -> None:
        keep_memory()
        arguments = sys.argv[1:]
        if "--help" in arguments or "-h" in arguments:
            print(_help(config_name, run))
            return
        if not any(argument.split("=")[0] in _HYDRA_FLAGS for argument in arguments):
            _check_overrides(config_name, arguments)
        job = hydra.main(
            version_base="1.3", config_path=str(_folder(config_name)), config_name=config_name
        )(_job(run))
        job()

    return main


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


def _folder(config_name: str) -> Path:
    """``conf/`` for a training, ``conf/tools/`` for the others: there ``model=PATH`` is a value and no group."""
    tools = config_dir() / "tools"
    return tools if (tools / f"{config_name}.yaml").is_file() else config_dir()


def compose(config_name: str, overrides: Sequence[str] = ()) -> Any:
    """The configuration of an entry as an instance of its schema, without running it (for tests and notebooks).

    Raises:
        UsageError: unknown key or option (the nearest are named), or a value of the wrong type.
    """
    tree = _compose_tree(config_name, overrides)
    check_targets(OmegaConf.to_container(tree, resolve=False))
    return OmegaConf.to_object(tree)


def _compose_tree(config_name: str, overrides: Sequence[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(_folder(config_name))):
        try:
            return hydra.compose(config_name, overrides=list(overrides))
        except OverrideParseException as error:
            example = "'factory=\"IVF4096,SQ8\"'"
            raise UsageError(
                f"{error.override}: cannot be read; a value with commas or equals signs stands in quotes, as {example}"
            ) from error
        except (HydraException, OmegaConfBaseException, ValueError) as error:  # ValueError: `=3`
            raise UsageError(_explain(config_name, error)) from error


def _explain(config_name: str, error: Exception) -> str:
    cause = f"{error}\n{error.__cause__ or ''}"
    known = flatten_keys(OmegaConf.to_container(hydra.compose(config_name), resolve=False))  # type: ignore[arg-type]
    return explain_unknown_key(cause, known) or cause.strip()


def _check_overrides(config_name: str, arguments: Sequence[str]) -> None:
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    try:
        tree = _compose_tree(config_name, overrides)
    except UsageError as error:
        _stop(error, 2)
    missing = sorted(OmegaConf.missing_keys(tree))
    if missing:
        _stop(
            UsageError(f"{', '.join(missing)}: needed, e.g. `{missing[0]}=...`; --help explains"), 2
        )


def _job(run: Callable[[Any], int | None]) -> Callable[[DictConfig], None]:
    def job(tree: DictConfig) -> None:
        logging.captureWarnings(True)
        try:
            check_targets(OmegaConf.to_container(tree, resolve=False))
            folder = HydraConfig.get().runtime.output_dir
            # A tool that Hydra runs in place chooses its own default: the current folder is
            # nobody's output.
            if "output" in tree and tree.output is None and Path(folder).resolve() != Path.cwd():
                tree.output = folder
            code = run(OmegaConf.to_object(tree))
        except (UsageError, MissingMandatoryValue) as error:
            _stop(error, 2)
        except (FileExistsError, NotADirectoryError) as error:
            _stop(
                AslError(
                    f"{error.filename}: a file is where a folder should be; choose another path"
                ),
                1,
            )
        except (AslError, OSError, sqlite3.Error, BrokenProcessPool) as error:
            _stop(error, 1)
        except InstantiationException as error:
            # A class named by `_target_` refused its arguments: what it said is the message.
            _stop(
                error.__cause__ if isinstance(error.__cause__, AslError | TypeError) else error, 2
            )
        except Exception as error:
            _stop_where_known(error)
        if code:
            sys.exit(code)

    return job


def _stop_where_known(error: Exception) -> NoReturn:
    """Two errors of torch and Lightning that a user can act on, by name: neither is imported before it is needed."""
    name = type(error).__name__
    if name == "OutOfMemoryError":
        hint = "lower data.identities, batch_size, or memory"
        _stop(AslError(f"the GPU has no memory left ({str(error).splitlines()[0]}); {hint}"), 1)
    if name == "MisconfigurationException":
        _stop(error, 2)
    raise error


def _stop(error: Exception, code: int) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(code)


def _run_dir(output: str | None, name: str) -> str:
    return output or f"outputs/{name}-{datetime.now():%Y%m%d-%H%M%S}"


def _help(config_name: str, run: Callable[[Any], int | None]) -> str:
    text = sys.modules[run.__module__].__doc__ or ""
    tree = _compose_tree(config_name, ())
    return f"{text.strip()}\n\nKeys and their defaults (set them as key=value):\n\n{OmegaConf.to_yaml(tree)}"
