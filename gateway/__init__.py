"""The data plane: HTTP in, tokens out. Stateless; knows the world only by the newest snapshot."""
