"""``python -m asl.search``: find the references that each query may come from.

The keys and their explanation are in :mod:`asl.console.schemas.search_config`.
"""

from __future__ import annotations

from asl.console.entry import EntryPoint
from asl.console.plain_console import PlainConsole
from asl.console.schemas.search_config import SearchConfig
from asl.counts import counted


def run(config: SearchConfig) -> int:
    """Plan the search, run it, write its pairs."""
    # NumPy, engines and models are loaded here, not by `--help`.
    from asl.app.pairs.search_directions import SearchDirections
    from asl.data.pairs import write_pairs
    from asl.pipeline.search_plan import plan_search
    from asl.pipeline.search_run import run_search

    plan = plan_search(config)
    result = run_search(plan, SearchDirections()).at_least(plan.least)
    write_pairs(result.pairs, plan.output, columns=result.columns)
    PlainConsole().say(f"{counted(len(result.pairs), 'pair')} of {result.searched}: {plan.output}")
    return 0


main = EntryPoint("search", run)

if __name__ == "__main__":
    main()
