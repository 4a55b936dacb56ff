"""Routes: what the outside may ask of a gateway, one file a topic."""
