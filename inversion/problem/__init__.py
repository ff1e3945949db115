"""The inverse problem and its answer: state, problem, posterior, totals, and regions in the place of cells."""
