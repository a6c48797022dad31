"""Which consumer or group has which plan since when, and the quotas that it brings."""
