"""Find faces, follow them through a recording, cut them out."""
