"""Recovering field of view, range, shape and measure behind published labels."""
