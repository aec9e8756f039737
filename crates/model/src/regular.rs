//! Opening what is a regular file, and nothing else: a pipe would be waited for, and a device has no end.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// What something is in words, where it is no regular file.
pub fn other_kind(found: FileType) -> Option<&'static str> {
    match () {
        () if found.is_file() => None,
        () if found.is_dir() => Some("a folder"),
        () if found.is_fifo() => Some("a pipe"),
        () if found.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

/// Opens a regular file, through links.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for a folder, a pipe, a socket and a device, and as the system says.
pub fn open(path: &Path) -> io::Result<File> {
    match other_kind(fs::metadata(path)?.file_type()) {
        Some(what) => Err(invalid(format!("it is {what}, not a regular file"))),
        None => File::open(path),
    }
}

/// Reads a regular file of so many bytes at most.
///
/// # Errors
/// As [`open`], and [`io::ErrorKind::InvalidInput`] for a longer file.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        return Err(invalid(format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

fn invalid(words: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read_and_only_short_ones() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "four").unwrap();
        assert_eq!(read(&file, 4).unwrap(), b"four");
        assert_eq!(read(&file, 3).unwrap_err().to_string(), "it has more than 3 bytes");
        assert_eq!(open(folder.path()).unwrap_err().to_string(), "it is a folder, not a regular file");
        let device = read(Path::new("/dev/zero"), 4).unwrap_err();
        assert_eq!(device.to_string(), "it is a device, not a regular file");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read(&link, 4).unwrap(), b"four");
    }
}
