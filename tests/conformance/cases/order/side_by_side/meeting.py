from threading import Barrier

both = Barrier(2, timeout=60)
