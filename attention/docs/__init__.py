"""The mechanisms' pages in docs/attention, and what is measured for them."""
