"""Labels, training and test figures of the regressor for any pair of phases."""
