"""HTTP service around a detector."""
