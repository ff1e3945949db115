"""Meteorological fields: any format in, one class out, for transport, plumes and columns."""

from obsnet.met.build import build_met, open_met
from obsnet.met.fields import Met

__all__ = ["Met", "build_met", "open_met"]
