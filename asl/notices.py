"""Sentences for people from rooms that print nothing; the verbs show them on standard error."""

from __future__ import annotations

import logging

NOTICES = logging.getLogger("asl.notices")
_given: set[str] = set()


def notice(text: str) -> None:
    """Tell people something that is no error, each sentence once for a process.

    A program that uses the package gets it as a warning of the logger ``asl.notices``; without any
    handler Python prints the sentence alone on standard error.

    Args:
        text: a sentence: what happens, where, and what may be done.
    """
    if text not in _given:
        _given.add(text)
        NOTICES.warning("%s", text)
