"""How one network is trained and scored: `train_one`, its recipe, its metrics and their parts."""
