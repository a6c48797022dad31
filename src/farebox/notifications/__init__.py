"""The notification service: it tells people what access and billing have told it."""
