"""Test figures of named modes, and their part of the model card."""
