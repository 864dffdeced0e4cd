"""What a model found, as drafts that a person corrects in a labelling tool."""
