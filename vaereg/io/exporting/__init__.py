"""Designs in the files of other programs, with what is known of them."""
