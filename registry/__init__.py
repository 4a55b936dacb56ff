"""What names mean: pure values that both planes import. Imports nothing of ours outside this package."""
