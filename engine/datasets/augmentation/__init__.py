"""Augment training images in one pass: first a plan of random draws, then each source's pixels once, then its boxes."""
