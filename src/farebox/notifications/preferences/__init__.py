"""Preferences: by which channel, when and in which language somebody wants to be told."""
