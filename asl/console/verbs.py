"""Verbs of the command line, and the schema of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Verb:
    """One verb: ``asl NAME`` and ``python -m asl.NAME``.

    Attributes:
        name: the word after ``asl``.
        schema_name: class in ``asl.console.schemas.<name>_config``, whose docstring is the help.
        positional: keys that are given without their name.
        options: help writes ``--key`` instead of ``key=``.
    """

    name: str
    schema_name: str
    positional: tuple[str, ...] = ()
    options: bool = False

    @property
    def schema(self) -> type[Any]:
        """The dataclass of the verb's keys."""
        found: type[Any] = getattr(import_module(self._module), self.schema_name)
        return found

    @property
    def help(self) -> str:
        """Explanation and examples of the verb."""
        return (import_module(self._module).__doc__ or "").strip()

    def example(self, word: str = "") -> str:
        """Return the first example of the help, or the first one that has a word in it.

        >>> VERBS["explain"].example(), VERBS["scan"].example("--exit")
        ('asl explain photo.jpg suspect.jpg', 'asl scan PHOTOS --exit-code')
        """
        _, _, listed = self.help.partition("Examples:\n")
        lines = listed.partition("\n\n")[0].splitlines()
        examples = [re.split(r"\s{2,}", line.strip())[0] for line in lines]
        commands = [example for example in examples if example.startswith(f"asl {self.name} ")]
        return next((example for example in commands if word in example), "")

    @property
    def _module(self) -> str:
        return f"asl.console.schemas.{self.name}_config"


VERBS = {
    verb.name: verb
    for verb in (
        Verb("scan", "ScanConfig", positional=("photos",), options=True),
        Verb("leaks", "LeaksConfig", positional=("sets",), options=True),
        Verb("explain", "ExplainConfig", positional=("first", "second"), options=True),
        Verb("review", "ReviewConfig", positional=("scan",), options=True),
        Verb("serve", "ServeConfig", options=True),
        Verb("extract", "ExtractConfig"),
        Verb("search", "SearchConfig"),
        Verb("merge", "MergeConfig", positional=("lists",), options=True),
        Verb("evaluate", "EvaluateConfig"),
        Verb("reproduce", "ReproduceConfig"),
        Verb("train", "TrainConfig"),
        Verb("edit", "EditConfig"),
        Verb("export", "ExportConfig"),
        Verb("doctor", "DoctorConfig", positional=("path",), options=True),
        Verb("cache", "CacheConfig", options=True),
    )
}
