"""Who waits: seats and tickets in the kernel, bells that wake, and the two ways to sleep."""
