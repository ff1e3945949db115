"""Deep convection: what storms that the weather's grid does not resolve lift, and the air that sinks around them."""
