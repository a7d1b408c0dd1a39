"""Verify many pairs: worker processes, caches on disk and in memory."""
