"""Long runs by hand."""
