"""Test figures of a checkpoint, and the model card."""
