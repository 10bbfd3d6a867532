"""The parts of a training that `search.train` puts together."""
