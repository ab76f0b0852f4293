"""The venues: one protocol, one folder a venue, and the paper exchange that stands in for them."""
