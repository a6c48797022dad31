"""Channels: the ways in which a written letter leaves the house."""
