"""Choose the model of a library: the one asked for, else the one that made it, else the default."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

from asl.model_names import how_to_use, model_text, packaged_name
from asl.models.opening import ModelInput
from asl.shared_defaults import MODEL
from asl.storage import database_errors, open_database
from asl.types import AslError


def library_model(path: Path | None, asked: ModelInput | None) -> ModelInput:
    """Choose the model to open a library with.

    Args:
        path: SQLite file of the library, which need not exist; None: in memory.
        asked: None: the packaged model that made the library, or the default for a new one.

    Raises:
        AslError: the library was made with a model that is not packaged, and none is asked for.
    """
    if asked is not None:
        return asked
    stored = recorded_model(path) if path is not None and path.is_file() else ""
    if stored and not packaged_name(stored):
        raise AslError(f"{path}: was made with {model_text(stored)}; {how_to_use(stored)}")
    return packaged_name(stored) or MODEL


def recorded_model(path: Path) -> str:
    """Return the hash of the model that made a store; empty where it cannot be read.

    Opening the store says why it cannot.
    """
    with (
        suppress(AslError),
        closing(open_database(path, remedy="", existing=True)) as database,
        database_errors(path, remedy=""),
    ):
        row = database.execute("SELECT value FROM meta WHERE key = 'model'").fetchone()
        return str(row[0]) if row else ""
    return ""
