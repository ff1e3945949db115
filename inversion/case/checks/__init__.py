"""What a solved case says against itself."""
