"""A page in the browser: build, look, train and browse; it calls what the scripts call."""
