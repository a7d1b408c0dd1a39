"""The ``asl`` command: ``asl VERB ...`` is ``python -m asl.VERB ...``.

  asl train        train a copy detector, score it
  asl extract      embed images into a feature store
  asl search       find, for every query, what it may have been made from
  asl evaluate     score predictions against ground truth
  asl reproduce    from a benchmark's raw images to its table
  asl edit         make edited copies with ground truth, and a contact sheet
  asl scan         find copies in a folder, no labels needed: a table and a gallery
  asl serve        a detector as a service on this machine, with a page to drop images on
  asl data check LAYOUT PATH      is a data set complete? what is missing, and where is it from?

`asl VERB --help` explains a verb and lists its keys, which are set as key=value (`scan` and `serve` take --options).
Exit code: 0 everything was done, 2 wrong use, 1 anything else.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

from asl import __version__

VERBS = ("train", "extract", "search", "evaluate", "reproduce", "edit", "data", "scan", "serve")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb; see the text of this module."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print((__doc__ or "").strip())
        sys.exit(0 if words else 2)
    if words[0] == "--version":
        print(__version__)
        return
    verb, *rest = words
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(VERBS)}"
        print(f"error: there is no `asl {verb}`; {hint}", file=sys.stderr)
        sys.exit(2)
    if verb == "data":
        from asl.data.check import main as check

        sys.exit(check(rest))
    sys.argv = [f"asl {verb}", *rest]
    import_module(f"asl.{verb}").main()


if __name__ == "__main__":
    main()
