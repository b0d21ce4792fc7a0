"""Write the report of a study: page, text, plots."""
