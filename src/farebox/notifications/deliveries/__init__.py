"""Deliveries: letters that are due, tried, sent; the log of tries; the inbox inside the shop."""
