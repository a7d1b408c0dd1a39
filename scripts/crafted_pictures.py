"""Decode small files that ask for much work; print processor time and memory of each."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.data import crafted_pictures


def main() -> None:
    """Decode all of them."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    crafted_pictures.main()


if __name__ == "__main__":
    main()
