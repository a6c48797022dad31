"""Rentals: from when to when what was rented may be played."""
