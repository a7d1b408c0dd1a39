"""Write the network of the packaged model, ``asl/models/asl_lite0.graph``; without its weights.

python scripts/write_graph.py
"""

from __future__ import annotations

import sys

from asl.models import load_embedder
from asl.models.graph_export import export_graph
from asl.models.network_graph import SUFFIX, write_graph
from asl.models.shipped import SHIPPED, shipped_model


def main() -> int:
    path = shipped_model().with_suffix(SUFFIX)
    write_graph(export_graph(load_embedder(SHIPPED)), path)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
