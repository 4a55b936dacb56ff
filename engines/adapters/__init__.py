"""LoRA adapters before any worker hears of them: whether one can be served, and if not, why and what to do."""
