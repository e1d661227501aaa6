"""Training of the modes: what is read from a labelled data set, the terms of the loss, the loop."""
