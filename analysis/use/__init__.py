"""A network in use: predictions for single ECGs, and its scores on other records."""
