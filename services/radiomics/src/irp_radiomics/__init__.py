"""Accepted masks and clinical values come in; features, function and heat-maps go out. Touches no raw DICOM."""
