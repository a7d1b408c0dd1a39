"""Outcome of adding references, while they are added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from asl.app.library.records import IngestResult


@dataclass(eq=False)
class AddOutcome:
    """References that wait to become searchable, and those that did not have to.

    Attributes:
        waiting: results in the store that are not searchable yet.
        changed: names that are new, or have a new content.
        same: names that had the same content already.
        replaced: those of ``changed`` that had another content before.
        failures: (label, reason) of images that cannot be used.
        old_digests: contents that lost a name.
    """

    waiting: list[IngestResult] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    old_digests: list[str] = field(default_factory=list)

    def fail(self, result: IngestResult, old_digest: str) -> None:
        """Count an image that cannot be used, and the content that its name had."""
        self.failures.append((result.source.label or result.source.name, result.failure))
        if old_digest:
            self.old_digests.append(old_digest)

    def take(self, digest_of: Callable[[str], str]) -> list[str]:
        """Count the waiting results; return the names of those that must become searchable.

        Args:
            digest_of: name -> digest of the content that is searched now; empty for none.
        """
        changed = []
        for result in self.waiting:
            name = result.source.name
            old = digest_of(name)
            if old == result.digest:
                self.same.append(name)
                continue
            changed.append(name)
            if old:
                self.replaced.append(name)
                self.old_digests.append(old)
        self.changed += changed
        self.waiting = []
        return changed
