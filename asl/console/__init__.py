"""Start a verb: configuration, arguments, errors as exit codes, progress."""
