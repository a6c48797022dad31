"""The command line: parse, call the wiring, shape the answer."""
