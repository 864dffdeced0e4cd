"""JSON Schemas (draft 2020-12) of what the verbs print; ``masu schema VERB`` prints them."""
