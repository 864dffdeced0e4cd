"""Training: settings, first weights, the loop, its files and its page."""
