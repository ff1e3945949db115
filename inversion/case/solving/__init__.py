"""What solves a case that has been put together."""
