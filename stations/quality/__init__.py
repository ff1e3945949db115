"""Quality control by tables of rules, baselines, and the error budget."""
