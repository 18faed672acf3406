"""Where and when a model looked: relevance over the face and over time, parts of the face, modalities."""
