"""Recipes: one page of values for each model, and the one story that runs them."""
