"""What a policy is worth: a shared-prefix, multi-turn load on two real vLLM workers, each policy by turns."""
