"""Orders: carts with guaranteed prices, promises of money, and what goes back of it."""
