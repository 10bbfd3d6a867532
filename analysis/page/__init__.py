"""What a page is made of: blocks, the look of figures, words for quantities, and their HTML."""
