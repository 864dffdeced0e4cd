"""Pages: templates filled, charts drawn."""
