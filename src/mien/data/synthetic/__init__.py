"""A procedural corpus: animated faces with voices, whose expressions are known at every moment."""

from mien.data.synthetic.corpus import synthesise
from mien.data.synthetic.settings import SyntheticSettings
from mien.data.synthetic.two_faces import film_two_faces
from mien.data.synthetic.units import CLASSES

__all__ = ["CLASSES", "SyntheticSettings", "film_two_faces", "synthesise"]
