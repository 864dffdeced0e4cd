"""Labelling in a browser: photographs, drafts of one's own model, and the training between them.

A server hands out photographs and keeps labels; it computes no network. A learner process trains, and a
drafter process holds the last model.
"""
