"""Labelled data sets: what is drawn, solved, kept batch by batch and merged."""
