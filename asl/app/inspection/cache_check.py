"""Whole check of the cache that everything of a user shares."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from asl.app.inspection.finding import Contents
from asl.app.library.content_cache import PICTURE
from asl.app.library.row_checksums import row_checksum
from asl.storage import ReadError, database_errors, open_database

_REMEDY = "asl computes damaged entries again; `asl cache --empty` deletes all of them"


def check_shared_cache(path: Path) -> Contents:
    """Check the pages of the cache, and compare every entry with its checksum.

    Raises:
        ReadError: the file is damaged.
    """
    pictures = entries = 0
    with (
        closing(open_database(path, remedy=_REMEDY, existing=True)) as database,
        database_errors(path, remedy=_REMEDY),
    ):
        for (said,) in database.execute("PRAGMA integrity_check(1)").fetchall():
            if said != "ok":
                raise ReadError(f"{path}: damaged ({' '.join(str(said).split())}); {_REMEDY}")
        rows = database.execute("SELECT digest, kind, value, crc FROM contents")
        for digest, kind, value, crc in rows:
            if row_checksum(digest, kind, value) != crc:
                raise ReadError(f"{path}: damaged (the checksum of an entry differs); {_REMEDY}")
            entries += 1
            pictures += kind.startswith(f"{PICTURE} ")
    return Contents(facts={"entries": entries, "pictures": pictures})
