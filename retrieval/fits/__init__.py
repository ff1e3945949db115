"""From files of spectra to columns: every sounding of a file fitted under a clear sky."""
