"""Images of cameras: where they lie, one of them as an array, and batches of them for training and evaluation."""
