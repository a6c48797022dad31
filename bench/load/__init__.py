"""Load on an HTTP server: `wrk` for the most it can take, an open loop for its latency."""
