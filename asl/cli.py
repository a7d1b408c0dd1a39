"""The ``asl`` command: ``asl VERB ...`` is ``python -m asl.VERB ...``.

  asl train        train a copy detector, score it
  asl extract      embed images into a feature store
  asl search       find, for every query, what it may have been made from
  asl evaluate     score predictions against ground truth
  asl reproduce    from a benchmark's raw images to its table
  asl export       a model as one file: ONNX or torch.export
  asl edit         make edited copies with ground truth, and a contact sheet
  asl scan         find copies in a folder, no labels needed: a table and a gallery
  asl serve        a detector as a service on this machine, with a page to drop images on
  asl data check LAYOUT PATH      is a data set complete? what is missing, and where is it from?

  asl completion bash             lines for ~/.bashrc (or zsh, fish) that complete verbs and options

`asl VERB --help` explains a verb and lists its keys, which are set as key=value (`scan` and `serve`
take --options).
Exit code: 0 everything was done, 2 wrong use, 1 anything else.
"""

from __future__ import annotations

import ast
import difflib
import runpy
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from asl import __version__

VERBS = (
    "train",
    "extract",
    "search",
    "evaluate",
    "reproduce",
    "edit",
    "export",
    "data",
    "scan",
    "serve",
    "completion",
)
HYDRA = ("train", "extract", "search", "evaluate", "reproduce", "edit", "export")  # take key=value
SHELLS = ("bash", "zsh", "fish")


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
        from asl.data.completeness import main as check

        sys.exit(check(rest))
    if verb == "completion":
        if len(rest) != 1 or rest[0] not in SHELLS:
            print(
                f"error: asl completion: say for which shell, one of {', '.join(SHELLS)}",
                file=sys.stderr,
            )
            sys.exit(2)
        print(completion(rest[0]))
        return
    sys.argv = [f"asl {verb}", *rest]
    if (
        verb == "train"
    ):  # on several devices Lightning starts it again, as the module that it must be
        runpy.run_module("asl.train", run_name="__main__", alter_sys=True)
    else:
        import_module(f"asl.{verb}").main()


def completion(shell: str) -> str:
    """The lines that teach a shell to complete ``asl``: verbs, their options, then files."""
    words = {
        **dict.fromkeys(VERBS, "--help"),
        "completion": " ".join(SHELLS),
        "data": "check --help",
        **{verb: " ".join(["--help", *_keys(verb)]) for verb in HYDRA},
        **{verb: " ".join(_options(verb)) for verb in ("scan", "serve")},
    }
    if shell == "fish":
        lines = [f"complete -c asl -n __fish_use_subcommand -a '{' '.join(VERBS)}'"]
        lines += [
            f"complete -c asl -n '__fish_seen_subcommand_from {verb}' -a '{words[verb]}'"
            for verb in VERBS
        ]
        return "\n".join(lines)
    cases = "".join(f'    {verb}) words="{words[verb]}";;\n' for verb in VERBS)
    script = (
        "_asl() {\n"
        '  local words="" word="${COMP_WORDS[COMP_CWORD]}"\n'
        f'  if [ "$COMP_CWORD" -eq 1 ]; then words="{" ".join(VERBS)}"; else case "${{COMP_WORDS[1]}}" in\n{cases}'
        "  esac; fi\n"
        '  COMPREPLY=($(compgen -W "$words" -- "$word"))\n'
        # A key goes on with its value.
        '  if [[ "${COMPREPLY[0]}" == *= ]]; then compopt -o nospace 2>/dev/null; fi\n'
        "}\n"
        "complete -o default -F _asl asl"
    )
    return script if shell == "bash" else f"autoload -U +X bashcompinit && bashcompinit\n{script}"


def _keys(verb: str) -> list[str]:
    """``key=`` for every key of a verb's schema, read from its text: importing it would load torch."""
    here = Path(__file__).parent
    file = here / "pipeline" / "search_plan.py" if verb == "search" else here / f"{verb}.py"
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (schema,) = (
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == f"{verb.title()}Config"
    )
    fields = (node.target for node in schema.body if isinstance(node, ast.AnnAssign))
    return [f"{field.id}=" for field in fields if isinstance(field, ast.Name)]


def _options(verb: str) -> list[str]:
    parser = import_module(f"asl.{verb}").parser()
    return sorted(option for option in parser._option_string_actions if option.startswith("--"))


if __name__ == "__main__":
    main()
