"""Complete verbs, keys and values in bash, zsh and fish.

Cyclopts completes ``--options`` alone; here ``key=value`` and the presets of a training count too.
A shell asks ``asl completion words LINE``, which imports neither torch nor cyclopts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from asl.console.configuration import config_dir
from asl.console.offered_values import LAYOUTS, offered_values
from asl.console.schema_groups import Key, keys_of
from asl.console.train_words import schema_keys
from asl.console.verbs import VERBS, Verb

_BASH = r"""_asl() {
  local line="${COMP_LINE:0:COMP_POINT}"
  local word="${line##* }"
  mapfile -t COMPREPLY < <(asl completion words "$line" 2>/dev/null)
  if [[ "$word" == *=* && "$COMP_WORDBREAKS" == *=* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"${word%%=*}="}")
  fi
  if [[ "${COMPREPLY[0]}" == *= ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F _asl asl"""
_ZSH = r"""_asl() {
  local -a offers
  offers=("${(@f)$(asl completion words "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
  if [[ -n "${offers[1]}" ]]; then
    compadd -S '' -- "${offers[@]}"
  else
    compset -P '*='
    _files
  fi
}
autoload -Uz compinit && compinit
compdef _asl asl"""
_FISH = "complete -c asl -a '(asl completion words (commandline -cp) 2>/dev/null)'"
_HELP = """Print lines for bash, zsh or fish that complete verbs, keys and the names that keys take.

Examples:
  asl completion bash >> ~/.bashrc
  asl completion zsh >> ~/.zshrc
  asl completion fish >> ~/.config/fish/config.fish

Exit code: 0 the lines were printed, 2 wrong use."""
SHELLS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def complete(arguments: Sequence[str]) -> int:
    """Run ``asl completion SHELL`` or ``asl completion words LINE``; return the exit code."""
    if len(arguments) == 1 and arguments[0] in SHELLS:
        print(SHELLS[arguments[0]])
        return 0
    if len(arguments) == 2 and arguments[0] == "words":
        print("\n".join(offers(arguments[1])))
        return 0
    if len(arguments) == 1 and arguments[0] in ("-h", "--help"):
        print(_HELP)
        return 0
    got = " ".join(arguments) or "nothing"
    print(f"error: asl completion: expected one of {', '.join(SHELLS)}, got {got}", file=sys.stderr)
    return 2


def offers(line: str) -> list[str]:
    """Return the words that may end a command line.

    >>> offers("asl ext"), offers("asl search regions=c"), offers("asl scan --ag")
    (['extract'], ['regions=coarse'], ['--against'])
    """
    words = line.split(" ")
    last = words[-1]
    if len(words) < 3:
        names = [*VERBS, "data", "completion"]
    elif words[1] == "completion":
        names = list(SHELLS)
    elif words[1] == "train":
        keys = schema_keys()
        names = [*_assignments("train", keys), *_presets(), "--help", "--multirun"]
    elif words[1] in VERBS:
        names = _words_of(VERBS[words[1]], words[-2])
    else:
        names = _data_words(words) if words[1] == "data" else []
    if "=" not in last:  # first the key, then its value
        names = list(dict.fromkeys(name[: name.find("=") + 1] or name for name in names))
    return [name for name in names if name.startswith(last) and name != last]


def _words_of(verb: Verb, before: str) -> list[str]:
    """List the words that may follow ``before`` on the command line of a verb.

    A positional word is a path, which the shell completes.
    """
    keys = keys_of(verb.schema)
    options = {f"--{name.replace('_', '-')}": key for name, key in keys.items()}
    values = _values(verb.name, options[before]) if before in options else ()
    if before in options and not options[before].is_flag:
        return list(values)  # none: a path or number, and no other key
    named = {name: key for name, key in keys.items() if name not in verb.positional}
    return [*values, *_assignments(verb.name, named), *options, "--help"]


def _data_words(words: Sequence[str]) -> list[str]:
    """List the words of ``asl data check LAYOUT PATH``."""
    if len(words) == 3:
        return ["check", "--help"]
    return [*LAYOUTS, "--decode", "--help"] if len(words) == 4 else ["--decode", "--help"]


def _values(verb: str, key: Key) -> tuple[str, ...]:
    return key.choices or offered_values(verb, key.name)


def _assignments(verb: str, keys: dict[str, Key]) -> Iterator[str]:
    """Yield ``key=`` of every key, and ``key=value`` of every one with names for its values."""
    for name, key in keys.items():
        values = key.choices or offered_values(verb, name)
        yield from (f"{name}={value}" for value in values)
        yield f"{name}="


def _presets() -> Iterator[str]:
    for path in sorted(config_dir().glob("*/*.yaml")):
        yield f"{path.parent.name}={path.stem}"
