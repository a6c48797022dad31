"""Consumers' money: wallets, what credits are worth, and what rolls over."""
