"""Who asks, what they may draw on, and the access keys that prove a use."""
