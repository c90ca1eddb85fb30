"""A campaign in the world: its journal, the hands that switch, look and tell, and a run from beginning to end."""
