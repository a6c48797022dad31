"""Recipients: how somebody is reached and in what language they read."""
