"""The verifier: align a candidate pair, compare what is left, decide in the right direction."""

from asl.matching.values import Evidence, Region, Settings, Verdict
from asl.matching.verifier import Verifier
from asl.matching.verify import Budget, Verified, verify_pairs

__all__ = ["Budget", "Evidence", "Region", "Settings", "Verdict", "Verified", "Verifier", "verify_pairs"]
