"""The right to use a feature, a product or an item: from where, for whom, until when."""
