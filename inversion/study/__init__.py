"""Studies without observed values: twin experiments, network design, and the worlds they take place in."""
