"""What can be drawn on: buckets of consumers and groups, members' caps, service plans."""
