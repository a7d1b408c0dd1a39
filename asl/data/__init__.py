"""Images, catalogs, ground truth and the benchmarks' layouts on disk."""
