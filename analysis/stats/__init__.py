"""Statistics that several questions share."""
