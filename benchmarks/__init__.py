"""masu beside torchvision and pycocotools: equal answers first, then time and memory. Run ``make bench``."""
