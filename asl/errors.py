"""Errors that a user can act on; without NumPy, so that help and wrong use cost nothing."""

from __future__ import annotations


class AslError(Exception):
    """Error that the user can act on; verbs print its text without a traceback and exit with 1."""


class UsageError(AslError):
    """Error in the command itself (a key, a value, a missing path); verbs exit with 2."""
