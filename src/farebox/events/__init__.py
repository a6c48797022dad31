"""Facts for others, written in the transaction of the fact and kept as a log."""
