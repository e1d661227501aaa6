"""Design for target properties: sampling, refinement, walks through the latent space."""
