"""What crosses contexts of billing: the handlers of access's events."""
