"""Manifests, protocols, preparation of raw video, sampling, augmentation and loading."""
