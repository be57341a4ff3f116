"""The parts of the demo: output, topology, scenes, and checks of logs and captures."""
