"""Stages of a scan and their usual shares of its time."""

from __future__ import annotations

from asl.console.schemas.scan_config import ScanConfig
from asl.console.time_left import Stage

EMBED = "embedding images"
REGIONS = "embedding regions"
EXTRACT = "extracting local features"
VOTE = "matching local features"
TEST = "testing pairs"
COMPARE = "comparing pairs"
RELATIVES = "comparing relatives"
PARENTS = "weighing parents"


def scan_stages(options: ScanConfig) -> list[Stage]:
    """Return the stages of a scan in their order.

    The costs are seconds of 100 photographs on two quiet cores, from processor times of 512 mixed
    pictures, with fewer pairs a picture as larger collections have them.
    """
    is_all = options.compare == "all"
    stages = [Stage(EMBED, 0.8)]
    stages += [Stage(REGIONS, 2.4)] if options.regions != "none" else []
    stages += [Stage(EXTRACT, 1.5)]
    stages += [Stage(VOTE, 1.0)] if options.local_candidates else []
    stages += [Stage(COMPARE, 12.0)] if is_all else [Stage(TEST, 0.6), Stage(COMPARE, 5.0)]
    stages += [Stage(RELATIVES, 0.7)]
    return stages if options.against else [*stages, Stage(PARENTS, 1.1)]
