"""Reports of evaluations: tables, plots, one self-contained page."""
