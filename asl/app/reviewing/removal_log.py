"""Carry out a plan, with a log from which it can be undone; the log is written first."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asl.app.reviewing.desktop_trash import (
    TrashedFile,
    move_to_trash,
    put_back,
    restore,
    trashed_files,
)
from asl.app.reviewing.removal_plan import ContentCheck, PlannedMove, Refusal, RemovalPlan
from asl.storage import checksum, read_json, write_json
from asl.types import AslError, Progress

FORMAT = "asl-removal-1"
REMEDY = "its files are in the trash: put them back from there"
_LOG_NAME = re.compile(r"removal-(\d{4,})\.json")


@dataclass(frozen=True)
class Removed:
    """Outcome of a removal: decided = moved + refused + kept.

    Attributes:
        moved: files that went.
        refused: files that were to go and stay.
        kept: number of files that were decided to stay.
        log: file from which it can be undone; None where nothing went.
        bytes: space of the files that went.
    """

    moved: tuple[PlannedMove, ...]
    refused: tuple[Refusal, ...]
    kept: int
    log: Path | None
    bytes: int

    @property
    def decided(self) -> int:
        """Number of files that were decided about."""
        return len(self.moved) + len(self.refused) + self.kept


@dataclass(frozen=True)
class Restored:
    """Outcome of an undo.

    Attributes:
        restored: paths of files that are in their place again.
        refused: files that are not, with the reason.
    """

    restored: tuple[str, ...]
    refused: tuple[Refusal, ...]


def remove(
    plan: RemovalPlan,
    folder: Path,
    *,
    into: Path | None = None,
    root: Path,
    command: str,
    check: ContentCheck,
    progress: Progress | None = None,
) -> Removed:
    """Move the files of a plan to the trash, or into a folder; nothing is deleted.

    Args:
        plan: of the files, made just before.
        folder: of the logs.
        into: folder that takes the files; None for the trash.
        root: folder of the photos; below ``into`` files keep their path inside it.
        command: that asked for it, for the log.
        check: compares each file once more before it is moved.
        progress: called with (files done, files to do).

    Raises:
        WriteError: the log cannot be written; nothing was moved then.
    """
    if not plan.moves:
        return Removed((), plan.refused, plan.kept, None, 0)
    path = _next_log(folder)
    places = _places(plan, into, root)
    _write_log(path, plan.moves, places, command, state="begun")
    moved, refused = [], list(plan.refused)
    try:
        for done, move in enumerate(plan.moves, start=1):
            try:
                _move(move, places.get(move.path), check)
                moved.append(move)
            except AslError as error:
                refused.append(Refusal(move.path, str(error)))
            if progress:
                progress(done, len(plan.moves))
    finally:
        _write_log(path, moved, places, command, state="done")
    space = sum(move.bytes for move in moved)
    return Removed(tuple(moved), tuple(refused), plan.kept, path, space)


def _move(move: PlannedMove, place: Path | None, check: ContentCheck) -> None:
    if problem := check.problem(move.path, move.digest):
        raise AslError(problem)
    if place is None:
        move_to_trash(move.path)
    else:
        put_back(Path(move.path), str(place))


def _places(plan: RemovalPlan, into: Path | None, root: Path) -> dict[str, Path]:
    """Return free places inside a folder for the files; empty where they go to the trash."""
    places: dict[str, Path] = {}
    if into is None:
        return places
    taken: set[Path] = set()
    for move in plan.moves:
        source = Path(move.path)
        inside = source.relative_to(root if source.is_relative_to(root) else source.anchor)
        place, number = into.absolute() / inside, 2
        while place in taken or os.path.lexists(place):
            place = (into.absolute() / inside).with_stem(f"{inside.stem} ({number})")
            number += 1
        taken.add(place)
        places[move.path] = place
    return places


def _next_log(folder: Path) -> Path:
    last = max((number for number, _ in _logs(folder)), default=0)
    return folder / f"removal-{last + 1:04d}.json"


def _logs(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    found = ((_LOG_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)


def _write_log(
    path: Path,
    moves: list[PlannedMove] | tuple[PlannedMove, ...],
    places: dict[str, Path],
    command: str,
    *,
    state: str,
) -> None:
    entries = [
        {**asdict(move), "place": str(places[move.path]) if move.path in places else None}
        for move in moves
    ]
    at = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(
        path, {"format": FORMAT, "at": at, "command": command, "state": state, "files": entries}
    )


def last_removal(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the last removal that was not undone: its log and what that says; None without one.

    Raises:
        AslError: a log is damaged.
    """
    for _, path in reversed(_logs(folder)):
        raw = read_json(path, remedy=REMEDY)
        if raw.get("format") != FORMAT or not isinstance(raw.get("files"), list):
            raise AslError(f"{path}: is no log of a removal; {REMEDY}")
        if raw.get("state") != "undone" and raw["files"]:
            return path, raw
    return None


def undo_removal(folder: Path, *, progress: Progress | None = None) -> Restored | None:
    """Put the files of the last removal back in their places; None if nothing was removed.

    A file that is not found, or whose place is taken, stays where it is and in the log.

    Args:
        folder: of the logs.
        progress: called with (files done, files to do).

    Raises:
        AslError: the log is damaged.
    """
    last = last_removal(folder)
    if last is None:
        return None
    path, raw = last
    entries = raw["files"]
    in_trash = trashed_files(entry["path"] for entry in entries if entry["place"] is None)
    restored, refused = [], {}
    for done, entry in enumerate(entries, start=1):
        try:
            _restore(entry, in_trash.get(entry["path"], []))
            restored.append(entry["path"])
        except AslError as error:
            refused[entry["path"]] = str(error)
        if progress:
            progress(done, len(entries))
    left = [entry for entry in entries if entry["path"] in refused]
    if left:
        write_json(path, {**raw, "files": left, "state": "partly undone"})
    else:
        write_json(path, {**raw, "state": "undone"})
    return Restored(
        tuple(restored), tuple(Refusal(name, reason) for name, reason in refused.items())
    )


def _restore(entry: dict[str, Any], candidates: list[TrashedFile]) -> None:
    """Put one file back; one that is in its place already needs nothing."""
    path, place = entry["path"], entry["place"]
    digest = entry["digest"]
    if os.path.isfile(path) and checksum(path, remedy="look at it") == digest:
        return
    if place is None:
        restore(path, digest, candidates)
    elif not os.path.isfile(place):
        raise AslError(f"is not in {place} any more")
    else:
        put_back(Path(place), path)
