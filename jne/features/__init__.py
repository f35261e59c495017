"""From images to features, and the files that hold them."""
