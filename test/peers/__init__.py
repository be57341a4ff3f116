"""Peers that misbehave on purpose: they speak TLS, tunnels and enrollment well enough to do one thing wrong."""
