"""Whether waiting could ever end: the blocks of this process, the locks it runs under, and cycles over many."""
