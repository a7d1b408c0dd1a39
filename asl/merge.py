"""``python -m asl.merge``: merge the pairs of searches that were shared out.

The options and their explanation are in :mod:`asl.console.schemas.merge_config`.
"""

from __future__ import annotations

from asl.console.entry import EntryPoint
from asl.console.plain_console import PlainConsole
from asl.console.schemas.merge_config import MergeConfig
from asl.counts import counted
from asl.errors import UsageError
from asl.pipeline.key_checks import check_least


def run(config: MergeConfig) -> int:
    """Read the lists, merge them, write the pairs."""
    if len(config.lists) < 2:
        raise UsageError(f"lists: expected two or more files of pairs, got {len(config.lists)}")
    if config.output.suffix not in (".csv", ".parquet"):
        raise UsageError(
            f"output: expected a name that ends in .csv or .parquet, got {config.output}"
        )
    check_least(config, {"k": 1, "most": 1})
    # Arrow is loaded here, not by `--help`.
    from asl.data.pairs import write_pairs
    from asl.pipeline.merged_lists import merge_lists

    merged = merge_lists(config.lists, k=config.k, most=config.most)
    for path, length in merged.short.items():
        PlainConsole(stderr=True).warn(
            f"{path}: lists {counted(length, 'reference')} per query at most; if it was searched "
            f"with a k below {config.k}, the merged lists are incomplete"
        )
    write_pairs(merged.pairs, config.output, columns=merged.columns)
    pairs = counted(len(merged.pairs), "pair")
    print(f"{pairs} of {counted(len(config.lists), 'list')}: {config.output}")
    return 0


main = EntryPoint("merge", run)

if __name__ == "__main__":
    main()
