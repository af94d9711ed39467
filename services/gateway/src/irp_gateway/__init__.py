"""HTTP for people and frontends comes in; questions to the rooms go out. Parses no DICOM, holds no torch."""
