"""Images of cameras: their paths, a single one as an array, and batches of them for training and evaluation."""
