"""Voxels changed by sensitivities: corrections without a solve, and refinement with the solver."""
