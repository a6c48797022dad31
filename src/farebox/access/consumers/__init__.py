"""Who uses: consumers, their groups, and the tokens that identify them."""
