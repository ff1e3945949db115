"""What is known: inventories of years and editions, indicators of months, each with the day it came out."""
