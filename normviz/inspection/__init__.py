"""Which preprocessing a network expects, from its file and a few photos, and what others cost."""
