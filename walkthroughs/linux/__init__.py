"""The Linux kernel's list_head, as linked objects and as bytes."""
