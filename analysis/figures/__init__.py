"""Plotly figures, one module per topic; every function returns the figure and what it draws."""
