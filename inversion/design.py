"""Network design: what each candidate station or orbit would teach, and the greedy choice among them."""
