//! What people and scripts read: tables that line up, sizes in words, JSON.

use std::fs::Permissions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::Serialize;

use crate::{destination, error::Error};

/// Prints a text and a line break on standard output; that nobody reads on (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Write { path: "standard output".into(), source })
        }
        _ => Ok(()),
    }
}

/// Prints a value as JSON on standard output.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<(), Error> {
    print(&serde_json::to_string_pretty(value).expect("reports serialise to JSON"))
}

/// What others may do with a file before the umask takes away from it.
const MODE: u32 = 0o666;

/// Writes a file aside and renames it; a link is followed.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let target = destination::followed(path)?;
    let aside = || {
        let mut file = tempfile::Builder::new()
            .prefix(".slipway-")
            .permissions(Permissions::from_mode(MODE))
            .tempfile_in(destination::folder(&target))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&target).map_err(|error| error.error).map(drop)
    };
    aside().map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Says on standard error why a command failed; as JSON, it is one object on one line.
pub(crate) fn error(message: &str, reason: &str, exit_code: u8, json: bool) {
    if json {
        let error = serde_json::json!({ "reason": reason, "message": message, "exitCode": exit_code });
        eprintln!("{}", serde_json::json!({ "error": error }));
    } else {
        eprintln!("error: {message}");
    }
}

/// A table whose columns line up; those that hold numbers alone stand right.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let numeric = |column: usize| {
        let mut cells =
            rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty()).peekable();
        cells.peek().is_some() && cells.all(|cell| is_number(cell))
    };
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            let width = width(column);
            if numeric(column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let body = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    [line(head.to_vec())].into_iter().chain(body).collect::<Vec<_>>().join("\n")
}

/// Whether a cell is a number, with a unit of two letters at most; a digest is none.
fn is_number(cell: &str) -> bool {
    let number = cell.trim_end_matches(|unit: char| unit.is_ascii_alphabetic()).trim_end();
    cell.len() - number.len() <= 3 && number.parse::<f64>().is_ok()
}

/// Bytes in words: `117 B`, `28.4 kB`, `1.07 GB` (powers of 1000).
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut scale = 1_u64;
    while unit + 1 < UNITS.len() && bytes / scale >= 1000 {
        scale *= 1000;
        unit += 1;
    }
    if unit == 0 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = bytes as f64 / scale as f64;
    format!("{value:.1} {}", UNITS[unit])
}

/// The first characters of a digest, for a table.
pub(crate) fn short(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let rows = [vec!["int8".into(), "28.4 kB".into()], vec!["source".into(), "107.9 kB".into()]];
        assert_eq!(table(&["stage", "size"], &rows), "stage       size\nint8     28.4 kB\nsource  107.9 kB");
        let rows = [vec!["drop".into(), "-0.01".into()], vec!["right".into(), "0.9".into()]];
        assert_eq!(table(&["check", "is"], &rows), "check     is\ndrop   -0.01\nright    0.9");
        assert_eq!(table(&["digest"], &[vec!["09b225ca".into()], vec!["1".into()]]), "digest\n09b225ca\n1");
    }

    #[test]
    fn bytes_are_said_in_the_largest_unit_that_fits() {
        assert_eq!([bytes(999), bytes(1000), bytes(1_073_741_824)], ["999 B", "1.0 kB", "1.1 GB"]);
    }
}
