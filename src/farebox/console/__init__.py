"""The operators' console: pages over the services. No rule about money or access lives here."""
