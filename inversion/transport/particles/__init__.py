"""The particle model: kernels of the random walks, settings, and one simulation of many receptors."""
