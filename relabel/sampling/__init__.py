"""Drawing pairs and batches by bands of ψ from label files, with numpy and numba alone."""
