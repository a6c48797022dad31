"""What is used: products, each with the asset that counts it."""
