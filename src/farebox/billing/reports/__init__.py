"""What the money says: recurring revenue and its movements, churn, recognised revenue."""
