"""From settings to databases, services and apps: the only place where things are put together."""
