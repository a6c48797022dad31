"""What a subscription has paid and owes next: trials, renewals, changes, dunning, and usage."""
