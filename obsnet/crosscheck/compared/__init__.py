"""What is compared with what: rows of an inventory, totals of an inversion, their periods, as quantities."""
