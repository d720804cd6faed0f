"""Synthetic datasets in the exact layout of the real ones, which nobody may ship."""
