//! npz data files: the arrays of a data set, read under limits.
