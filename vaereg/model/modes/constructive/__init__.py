"""The constructive decoder: geometries as numbers, their fields, and volumes cut from them."""
