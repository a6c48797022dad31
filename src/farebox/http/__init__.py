"""The HTTP shell: parse, call one service, shape the answer."""
