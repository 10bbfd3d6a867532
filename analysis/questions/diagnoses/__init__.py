"""What the recommended network is worth for each diagnosis, and for whom."""
