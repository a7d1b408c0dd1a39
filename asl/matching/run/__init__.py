"""Verify many candidate pairs: tasks, worker processes, caches on disk and in memory."""
