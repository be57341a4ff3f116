"""Peers that misbehave on purpose: they speak TLS, tunnels and enrolment well enough to do one thing wrong."""
