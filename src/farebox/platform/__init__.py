"""What every service has in its own database: operators, credentials, secrets, audit, keys of POSTs."""
