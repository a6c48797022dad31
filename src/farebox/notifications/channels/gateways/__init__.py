"""One file for each way out."""
