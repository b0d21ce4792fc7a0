"""What a row may name, and what each name does to channels and stride."""
