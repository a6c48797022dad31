"""Gateways: how each provider of payments is asked, behind one protocol."""
