"""What notifications knows of items, products and rentals: written by others' events only."""
