"""Defaults that commands and Python functions share; they import nothing.

A default that only a command has is in its schema (:mod:`asl.console.schemas`), one that only a
function has is in its signature.
"""

from __future__ import annotations

MODELS = ("asl_lite0", "asl_lite1")  # come with the package
MODEL = "asl_lite1"
PRECISION = 0.95  # share of accepted pairs that should be right
NEIGHBOURS = 10  # k: references per query
CANDIDATES = 3  # pairs per query to verify, by embeddings
LOCAL_CANDIDATES = 3  # pairs per query to verify, by local features
SEARCH_MEMORY = 4.0  # GiB that a search may take beside the embeddings
NPROBE = 16  # lists of an inverted file that a query visits
RECALL_QUERIES = 100  # queries on which the recall of an approximate search is measured
BOOTSTRAP = 200  # replicates of the confidence intervals of a report

# Score normalisation: SSCD's 1.0[0,2].
SN_WEIGHT = 1.0
SN_FIRST = 0
SN_LAST = 2
# Training images embedded as a background: D2LV fits its whitening on 20,000, and the nearest
# neighbours of score normalisation hardly move beyond this.
BACKGROUND_IMAGES = 100_000

# Extraction.
BATCH_SIZE = 64  # images per forward pass
SHARD_SIZE = 4096  # images per shard, the most that a kill can lose
MAX_FAILURE_RATE = 0.1  # share of unreadable images above which a run stops
