"""Whether the best values lie at an end of what was tried, so that the space should be wider."""
