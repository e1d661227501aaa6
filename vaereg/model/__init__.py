"""The variational autoencoder, its prior and regressors, and checkpoints of them."""
