"""Find, for every query, the references that it may have been made from.

  python -m asl.search queries=NEW references=LIBRARY output=pairs.csv
  python -m asl.search queries=NEW references=store model=runs/mine score=strict output=p.parquet
  python -m asl.search queries=NEW references=LIBRARY precision=0.9 output=pairs.csv    sure pairs
  python -m asl.search queries=NEW references=LIBRARY score=verified output=pairs.csv   pixels
  python -m asl.search queries=NEW references=LIBRARY regions=fine output=pairs.csv     small crops
  python -m asl.search queries=NEW references=store background=TRAIN normalize=subtract
  output=pairs.csv
  python -m asl.search queries=new.a+new.b references=lib.a+lib.b output=pairs.csv      two models

queries, references, background: images (a folder, a list, a tar, a Parquet table), a feature store
of asl.extract, or an index of it, which is memory-mapped. Stores joined by + are searched as one:
the mean of their cosines. Images are embedded first, into OUTPUT.features/, which a second run
resumes.

The output has one line a pair: query_id, reference_id, score (higher = surer), cosine, both
log-norms, a probability where the model is calibrated, and a direction: `reference->query` where
the reference holds at least as much of the original as the query, else `query->reference`. With
score=verified the score is the probability of a copy, and the direction is that of the pixels
(`none`: no copy).
"""

from __future__ import annotations

from rich.console import Console

from asl.console.entry import entry_point
from asl.data.pairs import write_pairs
from asl.pipeline.search_config import SearchConfig


def run(config: SearchConfig) -> int:
    """Plan the search, run it, write its pairs."""
    # Engines and models are loaded here, not by `--help`.
    from asl.pipeline.search_plan import plan_search
    from asl.pipeline.search_run import run_search

    plan = plan_search(config)
    result = run_search(plan).at_least(plan.least)
    write_pairs(result.pairs, plan.output, columns=result.columns)
    Console().print(f"{len(result.pairs)} pairs of {result.searched}: {plan.output}")
    return 0


main = entry_point("search", SearchConfig, run)

if __name__ == "__main__":
    main()
