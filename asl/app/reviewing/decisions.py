"""Decisions about files: which stay and which go, by hand or by a rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from asl.storage import read_json, write_json
from asl.types import AslError

FORMAT = "asl-decisions-1"
DECISIONS_FILE = "decisions.json"
BY_HAND = "hand"
REMEDY = "copy it from a backup, or delete it to decide again"


@dataclass(frozen=True)
class Decision:
    """A decision about one file.

    Attributes:
        keep: True if the file stays, False if it goes.
        by: ``hand``, or the rule that decided.
        digest: SHA-256 of the content that was decided about.
    """

    keep: bool
    by: str
    digest: str


class Decisions:
    """Decisions by path."""

    def __init__(self, decided: Mapping[str, Decision] | None = None) -> None:
        """Take over decisions."""
        self._decided = dict(decided or {})

    def __len__(self) -> int:
        return len(self._decided)

    def __iter__(self) -> Iterator[str]:
        return iter(self._decided)

    def get(self, path: str) -> Decision | None:
        """Return the decision about a file; None if it is undecided."""
        return self._decided.get(path)

    def put(self, path: str, decision: Decision | None) -> None:
        """Set a decision; None forgets it."""
        if decision is None:
            self._decided.pop(path, None)
        else:
            self._decided[path] = decision

    def of_contents(self, digests: Mapping[str, str]) -> Decisions:
        """Return the decisions about files that a scan lists with the same content.

        Args:
            digests: path -> content, of the scan.
        """
        return Decisions(
            {
                path: decision
                for path, decision in self._decided.items()
                if digests.get(path) == decision.digest
            }
        )

    def others(self, digests: Mapping[str, str]) -> Decisions:
        """Return the decisions that :meth:`of_contents` leaves out."""
        mine = self.of_contents(digests)
        return Decisions({path: self._decided[path] for path in self if mine.get(path) is None})

    def joined(self, others: Decisions) -> Decisions:
        """Return these and others; where both decided about a path, these count."""
        return Decisions({**others._decided, **self._decided})

    def copy(self) -> Decisions:
        """Return an independent copy."""
        return Decisions(self._decided)


def read_decisions(path: Path) -> Decisions:
    """Read decisions; none where there is no such file.

    Raises:
        AslError: the file is damaged.
    """
    if not path.exists():
        return Decisions()
    raw = read_json(path, remedy=REMEDY)
    try:
        if raw["format"] != FORMAT:
            raise ValueError(f"its format is {raw['format']!r}, expected {FORMAT!r}")
        return Decisions(
            {
                str(entry["path"]): Decision(
                    bool(entry["keep"]), str(entry["by"]), str(entry["digest"])
                )
                for entry in raw["files"]
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AslError(f"{path}: damaged ({error}); {REMEDY}") from error


def write_decisions(decisions: Decisions, path: Path) -> None:
    """Write decisions, sealed.

    Raises:
        WriteError: the file cannot be written.
    """
    files = []
    for name in decisions:
        decision = decisions.get(name)
        if decision is not None:
            files.append({"path": name, **asdict(decision)})
    written = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(path, {"format": FORMAT, "written": written, "files": files})
