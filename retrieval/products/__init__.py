"""One granule to one observation table: screens, bias corrections."""

AVERAGED = "_superobs"  # ends the name of a source whose rows are super-observations
