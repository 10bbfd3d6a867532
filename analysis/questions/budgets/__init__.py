"""Which network to use within a budget."""
