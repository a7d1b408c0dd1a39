"""``python -m asl.export``: write a model as one file that runs without this package.

The keys and their explanation are in :mod:`asl.console.schemas.export_config`.
"""

from __future__ import annotations

from asl.console.entry import EntryPoint
from asl.console.schemas.export_config import ExportConfig


def run(config: ExportConfig) -> int:
    """Export, compare, report."""
    from asl.pipeline.export_model import export_model

    return export_model(config)


main = EntryPoint("export", run)

if __name__ == "__main__":
    main()
