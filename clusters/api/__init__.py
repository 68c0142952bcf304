"""The REST interface of clusters, for people and for agents."""
