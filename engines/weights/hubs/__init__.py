"""Hubs: what each kind of server holds for a source, as a list of files; `engines.weights.transfer` fetches them."""
