"""What every test needs: the reference is read for its answer, not for its speed.

Small products on many BLAS threads mostly wait for each other, so NumPy gets one. This
has to be said before NumPy is imported.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
