"""The blocks of the state and of the error of observations, from the tables of a case."""
