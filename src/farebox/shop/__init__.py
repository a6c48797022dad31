"""The premiere store: pages over the services. No rule about money or access lives here."""
