"""The model store: the catalogue of weights, and fetching, verifying and converting them."""
