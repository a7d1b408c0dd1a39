"""List the files of a scan: the photos, and the library that they are compared with."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

from asl.app.library.file_filter import FileFilter
from asl.app.library.sync import FileListing, list_folders
from asl.console.schemas.scan_config import ScanConfig
from asl.types import UsageError


def list_both(options: ScanConfig) -> tuple[FileListing, FileListing | None]:
    """List the photos, and the library where there is one.

    Raises:
        UsageError: a folder does not exist, or one is on both sides.
        AslError: one holds no image.
    """
    chosen = FileFilter(options.exclude, 1000 * options.min_size)
    photos, against = list_folders(options.photos, role="PHOTOS", chosen=chosen), options.against
    if not against:
        return photos, None
    typed = {os.path.realpath(path): path for path in options.photos}
    for path in against:
        if os.path.realpath(path) in typed:
            raise UsageError(
                f"--against: {path} is PHOTOS itself; leave it out to look for copies within PHOTOS"
            )
    return photos, list_folders(against, role="--against", already_listed=photos, chosen=chosen)


def skipped_formats(listings: Iterable[FileListing]) -> dict[str, int]:
    """Count the pictures in unreadable formats by their ending, the commonest first."""
    total = Counter[str]()
    for listing in listings:
        total.update(dict(listing.skipped))
    return dict(total.most_common())
