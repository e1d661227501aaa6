"""Labels by the solver, and training of the model on them."""
