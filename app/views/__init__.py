"""The pages, and the sections that they are made of."""
