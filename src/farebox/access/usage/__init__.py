"""Usage: what was used by whom, reported or decided here, counted by periods."""
