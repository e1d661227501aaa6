"""Modes: components of the prior that an engineer recognises, each with a construction of its own."""
