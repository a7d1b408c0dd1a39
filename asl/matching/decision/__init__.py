"""Decide from evidence: boosted trees, thresholds, competing candidates, a reason in words."""
