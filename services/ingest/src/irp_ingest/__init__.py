"""DICOM and clinical data come in; de-identified objects, an index and volumes go out. Nothing identifiable is kept."""
