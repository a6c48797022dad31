"""A living example around a running Farebox: a service provider, its customers, their visits."""
