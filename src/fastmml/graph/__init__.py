"""Graphs and what is computed on them; ``import fastmml`` has the public names."""
