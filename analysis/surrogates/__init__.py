"""Models of the score that stand in for training, and what they say of the factors."""
