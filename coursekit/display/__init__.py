"""Pictures and explorers, as a notebook shows them."""
