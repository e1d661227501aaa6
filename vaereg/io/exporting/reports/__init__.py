"""Reports of designs: one page of HTML with text, tables and pictures, and no other file."""
