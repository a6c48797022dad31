"""Loops beside the requests: the relay of events, due work, checkpoints."""
