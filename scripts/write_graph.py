"""Write the networks of packaged models, e.g. ``asl/models/asl_lite0.graph``; without weights.

python scripts/write_graph.py            (all of them)
python scripts/write_graph.py asl_lite1
"""

from __future__ import annotations

import sys

from asl.models import load_embedder
from asl.models.graph_export import export_graph
from asl.models.network_graph import SUFFIX, write_graph
from asl.models.shipped import PACKAGED, shipped_model


def main() -> int:
    for name in sys.argv[1:] or PACKAGED:
        path = shipped_model(name).with_suffix(SUFFIX)
        write_graph(export_graph(load_embedder(name)), path)
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
