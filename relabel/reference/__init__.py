"""Slow, obvious oracles: what the fast code is compared with, in the tests and by `relabel verify`.

They share no code with what they check.
"""
