"""The uploader's side: finds DICOM files, de-identifies them here if wanted, sends them, and goes on after a break.

sources, file_set  folders, archives, DICOMDIRs -> files        treat   one file, in a worker process
plan               files -> series, in the order of sending     send    batches, streams, reports
state              what was answered in an earlier run          tally   what became of the files
"""
