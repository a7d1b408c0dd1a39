"""Flags are those of the first processor, and none where the system says nothing."""

from __future__ import annotations

from pathlib import Path

from asl.index.engines.cpu_flags import cpu_flags


def test_the_first_processor_speaks_for_all(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    text = "vendor_id\t: GenuineIntel\nbugs\t: mds\nflags\t\t: fpu sse\n\nflags\t\t: fpu avx\n"
    monkeypatch.setattr(Path, "read_text", lambda self, **options: text)
    assert cpu_flags() == {"GenuineIntel", "fpu", "sse"}


def test_another_system_says_nothing(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def missing(self: Path, **options: object) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", missing)
    assert cpu_flags() == set()
