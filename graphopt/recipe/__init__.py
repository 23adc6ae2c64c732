"""Recipes: a compile declared in a TOML file, and what make needs to know about it."""
