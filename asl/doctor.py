"""``python -m asl.doctor``: check files and folders that this package has written.

The options and their explanation are in :mod:`asl.console.schemas.doctor_config`.
"""

from __future__ import annotations

import json

from asl.console.entry import EntryPoint
from asl.console.schemas.doctor_config import DoctorConfig
from asl.console.terminal_text import terminal_text


def run(config: DoctorConfig) -> int:
    """Check and print; return 1 where something is damaged."""
    from asl.app.inspection.inspect_path import inspect_path

    findings = inspect_path(config.path)
    damaged = [finding for finding in findings if not finding.whole]
    shown = damaged if config.quiet else findings
    if config.json:
        report = {
            "path": str(config.path),
            "whole": not damaged,
            "findings": [finding.to_json() for finding in shown],
        }
        print(json.dumps(report, indent=1, ensure_ascii=True))
        return int(bool(damaged))
    for finding in shown:
        for line in finding.lines():
            print(terminal_text(line))
    if len(findings) > 1 or config.quiet:
        print(f"{len(findings)} checked, {len(damaged)} damaged")
    return int(bool(damaged))


main = EntryPoint("doctor", run)

if __name__ == "__main__":
    main()
