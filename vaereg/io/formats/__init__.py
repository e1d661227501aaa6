"""Readers of voxel arrays, one module for each kind of file.

A file may be anything: sizes are checked before data is read or inflated, nothing is unpickled, and no other
file is opened. Every `list_...` reads headers only; every `read_...` reads one array that its caller
accepted.
"""
