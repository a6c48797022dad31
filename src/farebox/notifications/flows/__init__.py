"""What crosses contexts: events become letters, letters are sent."""
