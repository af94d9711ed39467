"""The whole story on real hearts: what `irp demo` tells. CC0 cine studies go in; a page of evidence comes out."""
