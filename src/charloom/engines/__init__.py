"""One network, several ways to compute it, behind one interface (base.py)."""
