"""What a user does with a detector: one file per verb, each also a subcommand of ``masu``."""
