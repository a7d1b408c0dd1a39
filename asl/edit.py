"""``python -m asl.edit``: make edited copies with ground truth.

The keys and their explanation are in :mod:`asl.console.schemas.edit_config`.
"""

from __future__ import annotations

from asl.console.entry import EntryPoint
from asl.console.schemas.edit_config import EditConfig


def run(config: EditConfig) -> int:
    """Edit, write, report."""
    from asl.console.targets import trust
    from asl.pipeline.edited_queries import make_edited_queries

    trust(config.trusted)
    return make_edited_queries(config)


main = EntryPoint("edit", run)

if __name__ == "__main__":
    main()
