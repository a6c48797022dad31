"""Ids, amounts, clock and refusals: what every part of Farebox may use."""
