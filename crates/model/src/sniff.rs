//! The format of a file, told by its bytes and never by its name.
