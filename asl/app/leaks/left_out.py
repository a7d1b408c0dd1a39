"""Name the parts of a data set's folder that belong to no split, and are not compared."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from asl.app.leaks.splits import split_folders, split_of_shard
from asl.counts import counted
from asl.data.folder_scan import scan_folder

LOOSE = "files beside the splits"


def left_out_of(folder: Path) -> dict[str, dict[str, int]]:
    """Count what a folder with all splits holds beside them.

    Args:
        folder: as given to :func:`asl.app.leaks.splits.read_splits` without other sets.

    Returns:
        Part -> its numbers of ``images`` and ``shards``. A part is a sub-folder or a shard; images
        directly in the folder are one part. Hidden and empty ones are left out.
    """
    inside_splits = split_folders(folder)
    # Sub-folders of splits are listed by their catalog; to walk through them again takes long.
    contents = scan_folder(folder, without=inside_splits)
    counts: dict[str, Counter[str]] = {}
    for kind, names in (("images", contents.images), ("shards", contents.shards)):
        for name in names:
            is_split = kind == "shards" and not inside_splits and split_of_shard(name)
            if not is_split:
                counts.setdefault(_part(name, kind), Counter())[kind] += 1
    return {
        part: {"images": found["images"], "shards": found["shards"]}
        for part, found in sorted(counts.items())
    }


def left_out_text(parts: dict[str, dict[str, int]]) -> str:
    """List the parts with their counts, for people.

    >>> left_out_text({"extra": {"images": 12, "shards": 0}, "b.tar": {"images": 0, "shards": 1}})
    'extra (12 images), b.tar (1 shard)'
    """
    return ", ".join(
        f"{part} ({' and '.join(_counted(count, kind) for kind, count in counts.items() if count)})"
        for part, counts in parts.items()
    )


def _counted(count: int, kind: str) -> str:
    return counted(count, kind.removesuffix("s"))


def _part(name: str, kind: str) -> str:
    first, _, rest = name.partition("/")
    return first if rest or kind == "shards" else LOOSE
