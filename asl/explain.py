"""``python -m asl.explain``: explain one pair of images.

The options and their explanation are in :mod:`asl.console.schemas.explain_config`.
"""

from __future__ import annotations

from asl.console.entry import EntryPoint, current_command
from asl.console.schemas.explain_config import ExplainConfig
from asl.console.terminal_text import terminal_text
from asl.errors import UsageError


def run(options: ExplainConfig) -> int:
    """Compare, write, print the answer."""
    from asl.app.explaining.case_file import write_case
    from asl.app.explaining.explain_pair import explain_pair
    from asl.storage import make_folder

    _check(options)
    explanation = explain_pair(
        options.first,
        options.second,
        model=options.model,
        precision=options.precision,
        device=options.device,
        max_pixels=round(1e6 * options.max_megapixels),
    )
    make_folder(options.output.parent, name="--output")
    written = write_case(explanation, options.output, command=current_command())
    if not options.quiet:
        print(terminal_text(explanation.sentence))
        print(f"  probability {explanation.match.probability:.3f}; accepted from ", end="")
        print(f"{explanation.threshold:.3f} on, for a precision of {explanation.precision:g}")
        if explanation.conclusion == "same moment":
            print(f"  two shots of one moment: {explanation.verdict.same_moment:.3f}")
        print(f"  {terminal_text(explanation.reason)}")
        for path in written:
            print(f"  {terminal_text(path)}")
    return 0


def _check(options: ExplainConfig) -> None:
    """Refuse wrong values before anything is read."""
    if options.output.suffix not in (".html", ".json"):
        raise UsageError(f"output: must end in .html or .json, got {str(options.output)!r}")
    if options.output.is_dir():
        raise UsageError(f"output: {options.output} is a folder; name a file in it")
    if not 0 < options.max_megapixels < 1e6:
        raise UsageError(
            f"--max-megapixels must be above 0 and below 1,000,000, got {options.max_megapixels:g}"
        )
    own = {options.output.absolute(), options.output.with_suffix(".json").absolute()}
    if own & {options.first.absolute(), options.second.absolute()}:
        raise UsageError(f"output: {options.output} is one of the two images; choose another file")


main = EntryPoint("explain", run)

if __name__ == "__main__":
    main()
