"""What a solved case leaves on disk."""
