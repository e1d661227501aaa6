"""The regressor of the full stiffness for any pair of phases."""
