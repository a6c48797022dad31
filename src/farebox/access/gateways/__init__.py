"""What the calls at other people's gateways use: routes from addresses to products."""
