"""Command lines of the commands that take --options: a misspelt one is told its neighbour."""

from __future__ import annotations

import argparse
import difflib
import re
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors name the nearest option."""

    def error(self, message: str) -> NoReturn:
        """One line about an option that is none; usage and message for the rest."""
        if message.startswith("unrecognized arguments:"):
            unknown = next(iter(re.findall(r"(?<!\S)--[\w-]+", message)), "")
            known = [option for option in self._option_string_actions if option.startswith("--")]
            near = difflib.get_close_matches(unknown, known, n=1)
            if near:
                self.exit(2, f"error: there is no {unknown}; did you mean {near[0]}?\n")
        super().error(message)
