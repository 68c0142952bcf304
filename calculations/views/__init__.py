"""The pages of calculations, one file each. They call selectors and services, and hold no rule."""
