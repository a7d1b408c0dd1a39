"""Review what a scan found: decide, move to the trash, undo, remember."""
