"""Review what a scan found: decide what stays, move copies to the trash, undo.

Examples:
  asl review asl-scan                                       a page to decide on, on this machine
  asl review asl-scan --rule keep-original --dry-run        list what would go
  asl review asl-scan --rule keep-original --apply CODE     move it; the dry run prints the code
  asl review asl-scan --rule keep-folder --folder photos/best --rule keep-largest
  asl review asl-scan --script remove.sh                    write a shell script instead
  asl review asl-scan --undo                                put the files of the last move back

SCAN is the folder that `asl scan` wrote. Files go to the trash of the desktop, or into the folder
of --into; nothing is deleted. A rule never removes the original of a group, nor a file of the
library of a scan with --against. A file that changed since the scan is refused, and so is the last
file of a group. SCAN gets decisions.json, a log of every move, and the marks of pairs beside the
cache, which the next scan uses.

Exit code: 0 done, 1 a file was refused, or failed, 2 wrong use, 130 stopped from the keyboard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from asl.console.schema_groups import CheckedChoices


@dataclass(kw_only=True)
class ReviewInputs:
    """Scan and rules.

    Attributes:
        scan: folder that `asl scan` wrote.
        rule: keep-original, keep-largest, keep-oldest or keep-folder; of several, the first that
            decides about a file counts. Decisions of the page stay.
        folder: whose files keep-folder keeps.
    """

    scan: Path
    rule: list[str] = field(default_factory=list)
    folder: Path | None = None


@dataclass(kw_only=True)
class ReviewActions:
    """Actions; without one of them, and without a rule, the page starts.

    Attributes:
        dry_run: list what would go; change nothing.
        apply: code that the dry run printed; moves the files.
        into: folder that takes the files instead of the trash.
        script: write a shell script that moves the files, instead of moving them.
        undo: put the files of the last move back.
    """

    dry_run: bool = False
    apply: str | None = None
    into: Path | None = None
    script: Path | None = None
    undo: bool = False


@dataclass(kw_only=True)
class ReviewPage:
    """Page.

    Attributes:
        port: port of the page on 127.0.0.1; 0: any free one.
        token_file: file whose first line the page asks for; null: a random one, printed as part of
            the address.
        browser: open the page in the browser.
    """

    port: int = 8765
    token_file: Path | None = None
    browser: bool = False


@dataclass(kw_only=True)
class ReviewConfig(ReviewInputs, ReviewActions, ReviewPage, CheckedChoices):
    """Options of ``asl review``."""
