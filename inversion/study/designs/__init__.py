"""What a network would see, before it stands."""
