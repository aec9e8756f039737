//! The format of a file, told by its bytes and never by its name.

use std::fmt;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::regular;

/// Bytes that tell a format.
pub(crate) const HEAD: usize = 4096;
const ZIP: &[u8] = b"PK\x03\x04";

/// What a file is, as far as its first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FileFormat {
    /// An ONNX model.
    Onnx,
    /// NumPy arrays in a zip archive.
    Npz,
    /// Weights in the safetensors format.
    Safetensors,
    /// A TensorFlow Lite flatbuffer.
    Tflite,
    /// A Python pickle or a PyTorch archive: loading it can run any code.
    Pickle,
    /// One NumPy array.
    Npy,
    /// A file of HDF5, as Keras wrote models before its own archive.
    Hdf5,
    /// Keras' archive.
    Keras,
    /// Weights in the format of llama.cpp.
    Gguf,
    /// A web page, such as the one that asks for a login.
    Html,
    /// What git-lfs keeps in place of a large file.
    #[serde(rename = "git-lfs")]
    GitLfs,
    /// None of the above.
    Unknown,
}

impl FileFormat {
    /// What to do where an ONNX model is wanted.
    pub fn to_onnx(self) -> &'static str {
        match self {
            Self::GitLfs => "run git lfs pull",
            Self::Html => "the download went wrong: look at it in a browser",
            Self::Onnx
            | Self::Npz
            | Self::Safetensors
            | Self::Tflite
            | Self::Pickle
            | Self::Npy
            | Self::Hdf5
            | Self::Keras
            | Self::Gguf
            | Self::Unknown => "export the model as ONNX",
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Onnx => "an ONNX model",
            Self::Npz => "a NumPy archive (npz)",
            Self::Safetensors => "a safetensors file",
            Self::Tflite => "a TensorFlow Lite model",
            Self::Pickle => "a Python pickle or PyTorch archive",
            Self::Npy => "a NumPy array (npy)",
            Self::Hdf5 => "an HDF5 file",
            Self::Keras => "a Keras archive",
            Self::Gguf => "a GGUF file",
            Self::Html => "a web page",
            Self::GitLfs => "a pointer of git-lfs, not the file itself",
            Self::Unknown => "no model format that is known",
        })
    }
}

/// Tells the format of a file from its first 4 KiB.
///
/// # Errors
/// When the file cannot be read, or is none.
pub fn sniff_file(path: &Path) -> io::Result<FileFormat> {
    let file = regular::open(path)?;
    let mut head = [0; HEAD];
    let mut filled = 0;
    while filled < HEAD {
        match file.read_at(&mut head[filled..], filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(sniff(&head[..filled], file.metadata()?.len()))
}

/// Tells the format from a file's first bytes and its length.
///
/// A guess for the next reader, not a check: `Onnx` means that the bytes begin like a
/// model, and only opening it shows whether it is one.
pub fn sniff(head: &[u8], file_len: u64) -> FileFormat {
    if head.starts_with(ZIP) {
        return sniff_zip(head);
    }
    if head.get(4..8) == Some(b"TFL3") {
        return FileFormat::Tflite;
    }
    if let Some((_, format)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return *format;
    }
    if is_html(head) {
        return FileFormat::Html;
    }
    if is_safetensors(head, file_len) {
        return FileFormat::Safetensors;
    }
    if matches!(head, [0x80, 2..=5, ..]) {
        return FileFormat::Pickle;
    }
    if is_onnx(head) { FileFormat::Onnx } else { FileFormat::Unknown }
}

/// The first bytes of formats that begin with a word.
const MAGIC: [(&[u8], FileFormat); 4] = [
    (b"\x93NUMPY", FileFormat::Npy),
    (b"\x89HDF\r\n\x1a\n", FileFormat::Hdf5),
    (b"GGUF", FileFormat::Gguf),
    (b"version https://git-lfs.github.com/spec/", FileFormat::GitLfs),
];

fn is_html(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    let begins = |tag: &[u8]| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    begins(b"<!doctype html") || begins(b"<html")
}

fn sniff_zip(head: &[u8]) -> FileFormat {
    let name_len = head.get(26..28).map_or(0, |len| usize::from(u16::from_le_bytes([len[0], len[1]])));
    let name = head.get(30..30 + name_len).unwrap_or_default();
    if name.ends_with(b".npy") {
        FileFormat::Npz
    } else if [&b"metadata.json"[..], b"config.json", b"model.weights.h5"].contains(&name) {
        FileFormat::Keras
    } else if name.ends_with(b".pkl") || name.ends_with(b"/version") || name.ends_with(b"/byteorder") {
        FileFormat::Pickle
    } else {
        FileFormat::Unknown
    }
}

fn is_safetensors(head: &[u8], file_len: u64) -> bool {
    let Some((len, rest)) = head.split_first_chunk::<8>() else { return false };
    let header = u64::from_le_bytes(*len);
    rest.first() == Some(&b'{') && header >= 2 && header.checked_add(8).is_some_and(|end| end <= file_len)
}

/// A protobuf message of fields that a model has, the first being the IR version.
fn is_onnx(mut head: &[u8]) -> bool {
    if !matches!(head, [0x08, 1..=0x7f, ..]) {
        return false;
    }
    head = &head[2..];
    while let Some((tag, rest)) = varint(head) {
        let known = matches!(tag, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42 | 0x72 | 0xa2 | 0xca | 0xd2);
        let Some((value, rest)) = varint(rest).filter(|_| known) else { return false };
        match tag {
            0x3a | 0x42 => return true,
            0x28 => head = rest,
            _ => match usize::try_from(value).ok().and_then(|len| rest.get(len..)) {
                Some(after) => head = after,
                None => return true,
            },
        }
    }
    false
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().take(10).position(|byte| *byte < 0x80)?;
    let value = bytes[..=end].iter().rev().fold(0_u64, |value, byte| (value << 7) | u64::from(byte & 0x7f));
    Some((value, &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip_entry(name: &str) -> Vec<u8> {
        let mut bytes = ZIP.to_vec();
        bytes.resize(26, 0);
        bytes.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(name.as_bytes());
        bytes
    }

    #[test]
    fn each_format_is_told_by_its_bytes() {
        let cases: [(&[u8], FileFormat); 15] = [
            (&[0x08, 0x07, 0x12, 0x02, b'p', b't', 0x3a, 0x01], FileFormat::Onnx),
            (&zip_entry("x.npy"), FileFormat::Npz),
            (&zip_entry("archive/data.pkl"), FileFormat::Pickle),
            (&zip_entry("readme.txt"), FileFormat::Unknown),
            (b"\x1c\0\0\0TFL3\0\0", FileFormat::Tflite),
            (b"\x02\0\0\0\0\0\0\0{}", FileFormat::Safetensors),
            (b"\x80\x04\x95", FileFormat::Pickle),
            (b"hello, I am model.onnx", FileFormat::Unknown),
            (b"\x93NUMPY\x01\0v\0", FileFormat::Npy),
            (b"\x89HDF\r\n\x1a\n\0", FileFormat::Hdf5),
            (&zip_entry("metadata.json"), FileFormat::Keras),
            (b"GGUF\x03\0\0\0", FileFormat::Gguf),
            (b"\n<!DOCTYPE html><html>", FileFormat::Html),
            (b"<HTML><body>", FileFormat::Html),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:", FileFormat::GitLfs),
        ];
        for (bytes, expected) in cases {
            assert_eq!(sniff(bytes, bytes.len() as u64), expected, "{bytes:?}");
        }
    }

    #[test]
    fn any_prefix_of_anything_is_told_without_a_panic() {
        for seed in [zip_entry("x.npy"), vec![0xff; 64], vec![0x08; 64], vec![0x08, 0x07, 0x12, 0xff, 0xff]] {
            for end in 0..seed.len() {
                sniff(&seed[..end], end as u64);
            }
        }
    }

    #[test]
    fn a_safetensors_header_longer_than_the_file_is_not_believed() {
        assert_eq!(sniff(b"\xff\0\0\0\0\0\0\0{}", 10), FileFormat::Unknown);
    }
}
