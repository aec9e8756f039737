//! What should exist now, decided purely from what is observed.
