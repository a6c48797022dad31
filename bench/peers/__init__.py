"""What Farebox is measured against: the same work, done by others or by hand."""
