"""What the examples share: bundled with each of them as the package `serving`."""
