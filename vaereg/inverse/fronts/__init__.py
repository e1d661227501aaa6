"""Pareto fronts: of known cells, and of designs that the solver verified."""
