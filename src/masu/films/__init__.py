"""Films, cameras and image sequences: frames with their time, objects followed, rows and films out."""
