"""How far scores rise with cost, and how much of that noise could have made."""
