"""Limits of typed values that a type does not express, checked before anything is loaded."""

from __future__ import annotations

import math
import os
import re

from asl.errors import UsageError

_WHOLE = re.compile(r"[+-]?\d+")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")
_LARGEST = 2**40  # no count, size or seed of a search or a scan is larger
_MOST_WORKERS = 1024


def check_text(name: str, text: str, kinds: set[object]) -> None:
    """Refuse a value that its type would accept and a library would refuse later.

    Args:
        name: key.
        text: value as it was typed, one item of a list.
        kinds: types that the key takes.

    Raises:
        UsageError: text that no file name can have, an output without a name, a fraction or a huge
            number for a whole number, a number that is not finite, a device that does not exist in
            any installation, more workers than a machine can start.
    """
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise UsageError(f"{name}: expected text, got {text!r}") from None
    if name == "output" and not text.strip():
        raise UsageError(f"output: expected the name of a file or folder, got {text!r}")
    if name == "device" and not _DEVICE.fullmatch(text):
        raise UsageError(f"device: expected auto, cpu, cuda, cuda:N or mps, got {text!r}")
    if str in kinds or not ({int, float} & kinds):
        return
    try:
        number = float(text)
    except ValueError:
        return  # refused with its type
    if not math.isfinite(number):
        raise UsageError(f"{name}: expected a finite number, got {text.strip()}")
    if float not in kinds and not _WHOLE.fullmatch(text.strip()):
        raise UsageError(f"{name}: expected a whole number, got {text.strip()}")
    if float not in kinds and abs(number) > _LARGEST:
        raise UsageError(f"{name}: must be {_LARGEST:,} or less, got {text.strip()}")
    if name == "workers" and not 0 <= number <= _MOST_WORKERS:
        raise UsageError(f"workers: must be from 0 to {_MOST_WORKERS}, got {text.strip()}")
