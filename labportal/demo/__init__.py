"""`make demo`: the whole portal on one machine, and the main job done once as a scientist would."""
