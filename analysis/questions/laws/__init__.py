"""How score and best shape grow with cost, and the conditions a law must meet."""
