"""What a case reads."""
