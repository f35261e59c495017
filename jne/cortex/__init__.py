"""Areas, meshes, smooth maps and views of the cortex."""
