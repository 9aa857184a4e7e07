"""BUSI: lesion outline, class and confidence from one breast-ultrasound image."""

import ctypes
import os

__version__ = "0.2.0"  # written into each record that readers make

# Two OpenMP threads that spin while a busy machine has no core for them are 15 times slower than one.
# libgomp reads this once, when torch is first imported, so it stands here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _keep_freed_memory() -> None:
    """Ask glibc to reuse large buffers: handing each back to the kernel costs a sixth of a training step."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD, in bytes
        libc.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD
    except (OSError, AttributeError):
        pass  # not glibc: other systems' allocators have no such switch


_keep_freed_memory()
