"""What every service has in its own database: operators, keys, secrets, audit, remembered POSTs."""
