"""Loading: a data set as batches of the images and targets that a network learns from."""
