"""Parts of the gateway benchmark: who is measured, under what load, how, and how the figures are shown."""
