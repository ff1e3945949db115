"""What every picture of the house shares: fonts, maps, shapes of regions."""
