"""Principal component analysis; ``import fastmml`` has the public names."""
