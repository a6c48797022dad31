"""What something costs: charge models, commitments, proration, discounts, tax, currencies."""
