"""Top-down against bottom-up: whether observations support an inventory, contradict it, or cannot tell."""
