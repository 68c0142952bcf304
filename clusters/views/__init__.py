"""The pages of clusters and logs: views ask selectors and services, and draw."""
