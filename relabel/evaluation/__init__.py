"""Evaluating place recognition: positives, nearest neighbours, recall@k and mAP@k, and graded scores.

The public names are those of `relabel.training`.
"""
