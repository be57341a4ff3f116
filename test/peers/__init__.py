"""Peers that misbehave on purpose: they implement enough of TLS, tunnels and enrollment to violate one rule."""
