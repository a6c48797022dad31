"""What owners sell: items with their offers, found by search, with places that can run out."""
