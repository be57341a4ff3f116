"""Side-by-side benchmarks: pairs of proxies in two namespaces, behind the same rules and under the same load."""
