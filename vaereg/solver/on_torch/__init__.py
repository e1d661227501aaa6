"""The solver's equations in plain torch: for CUDA, for batches and for derivatives."""
