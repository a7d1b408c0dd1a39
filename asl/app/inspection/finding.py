"""Result of the inspection of one file or folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Contents:
    """Description of a whole file or folder.

    Attributes:
        version: format as the file names it; empty where it names none.
        facts: counts, dimensions, model ..., by name; JSON-ready.
        compared: True where a checksum covers the content, False where only the structure was
            checked.
        advice: what to do, e.g. to get checksums; empty where there is nothing to do.
    """

    version: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    compared: bool = True
    advice: str = ""


@dataclass(frozen=True)
class Finding:
    """One file or folder of ours.

    Attributes:
        path: as it was found.
        kind: for people, such as ``feature store``.
        contents: empty where it is damaged.
        damage: what is wrong and what to do, one line; empty where it is whole.
    """

    path: Path
    kind: str
    contents: Contents = field(default_factory=Contents)
    damage: str = ""

    @property
    def whole(self) -> bool:
        """True where nothing is wrong."""
        return not self.damage

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values."""
        plain = asdict(self.contents)
        return {
            "path": str(self.path),
            "kind": self.kind,
            "whole": self.whole,
            "damage": self.damage,
            **plain,
            "facts": dict(self.contents.facts),
        }

    def lines(self) -> list[str]:
        """Describe it for people, two lines or three."""
        facts = ", ".join(f"{name} {value}" for name, value in self.contents.facts.items())
        about = ", ".join(part for part in (self.kind, self.contents.version) if part)
        said = [f"{self.path}: {about}{': ' if facts else ''}{facts}"]
        if self.damage:
            return [*said, f"  DAMAGED {self.damage}"]
        how = "equals its checksum" if self.contents.compared else "readable, without a checksum"
        advice = [f"  {self.contents.advice}"] if self.contents.advice else []
        return [*said, f"  whole ({how})", *advice]
