"""Letters: which kinds there are, and how each is written by channel and language."""
