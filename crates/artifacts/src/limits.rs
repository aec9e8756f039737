//! Upper bounds on what is accepted from outside.

/// The largest manifest that is read or written, in bytes (registries agree on 4 MiB).
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// The most files an artifact may have, whatever a caller's [`Limits`] say.
pub const MAX_FILES: usize = 10_000;

/// How much one fetch or pull may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Total bytes of all files.
    pub max_bytes: u64,
    /// Number of files; never more than [`MAX_FILES`].
    pub max_files: usize,
}

impl Default for Limits {
    /// 64 GiB in 10,000 files.
    fn default() -> Self {
        Self { max_bytes: 64 << 30, max_files: MAX_FILES }
    }
}
