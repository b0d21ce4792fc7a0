"""Look inside a detector: gate values, feature maps, class-activation maps, and what two models see differently."""
