//! Signatures: proof that an artifact was recorded by somebody who holds a secret key.
//!
//! A digest says that bytes are what they were; it does not say who put them under a tag. Where a registry lets everybody
//! write, a message authentication code over the digest does.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::digest::Digest;
use crate::error::{Error, Result};

/// The least bytes of a key: as many as the code has.
const MIN_KEY: usize = 32;
/// Stands at the beginning of what is signed, and changes with its form.
const VERSION: &str = "slipway-signature-v1";
const PREFIX: &str = "hmac-sha256:";

/// What a signature says: in this repository, this artifact is the result of the work of this key.
///
/// The artifact's digest covers everything else: its inputs, its facts and its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The repository, without its host. Example: `vision/digits`.
    pub repository: &'a str,
    /// The whole work key.
    pub key: &'a str,
    /// The digest of the artifact's manifest.
    pub artifact: &'a Digest,
}

/// A secret key for signatures (HMAC with SHA-256, RFC 2104).
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// A key of these bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than 32 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < MIN_KEY {
            let reason = format!("it has {} bytes, and needs {MIN_KEY}", bytes.len());
            return Err(Error::invalid("signing key", reason));
        }
        let code = Hmac::new_from_slice(bytes);
        code.map(Self).map_err(|error| Error::invalid("signing key", error.to_string()))
    }

    /// The signature of a statement, as text.
    pub fn sign(&self, statement: Statement<'_>) -> String {
        format!("{PREFIX}{}", hex::encode(self.code(statement).finalize().into_bytes()))
    }

    /// Whether a signature is this key's of this statement; compared in constant time.
    pub fn verify(&self, statement: Statement<'_>, signature: &str) -> bool {
        let code = signature.strip_prefix(PREFIX).and_then(|digits| hex::decode(digits).ok());
        code.is_some_and(|code| self.code(statement).verify_slice(&code).is_ok())
    }

    /// Neither a repository nor a key has a line break, so no two statements give the same bytes.
    fn code(&self, statement: Statement<'_>) -> Hmac<Sha256> {
        let Statement { repository, key, artifact } = statement;
        let text = format!("{VERSION}\n{repository}\n{key}\n{artifact}");
        self.0.clone().chain_update(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn statement<'a>(repository: &'a str, key: &'a str, artifact: &'a Digest) -> Statement<'a> {
        Statement { repository, key, artifact }
    }

    #[test]
    fn a_signature_holds_for_its_key_and_every_part_of_its_statement() {
        let (artifact, other) = (Digest::of(b"artifact"), Digest::of(b"other"));
        let signing = SigningKey::new(&KEY).unwrap();
        let signature = signing.sign(statement("vision/net", "0f", &artifact));
        assert!(signing.verify(statement("vision/net", "0f", &artifact), &signature));
        for foreign in [
            statement("vision/other", "0f", &artifact),
            statement("vision/net", "0e", &artifact),
            statement("vision/net", "0f", &other),
        ] {
            assert!(!signing.verify(foreign, &signature), "{foreign:?}");
        }
        let another = SigningKey::new(&[8; 32]).unwrap();
        assert!(!another.verify(statement("vision/net", "0f", &artifact), &signature));
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let artifact = Digest::of(b"artifact");
        let signing = SigningKey::new(&KEY).unwrap();
        let signature = signing.sign(statement("vision/net", "0f", &artifact));
        for wrong in
            ["", PREFIX, "hmac-sha256:no", &signature[..signature.len() - 2], &signature[PREFIX.len()..]]
        {
            assert!(!signing.verify(statement("vision/net", "0f", &artifact), wrong), "{wrong}");
        }
    }

    /// Computed by `openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…` over the text of the statement.
    #[test]
    fn the_form_does_not_change_unseen() {
        let artifact = Digest::of(b"");
        let signature = SigningKey::new(&KEY).unwrap().sign(statement("vision/net", "0f", &artifact));
        assert_eq!(signature, "hmac-sha256:650974c8efc46010574e25ed3b7146335ec9d5cc92f5710165ddcdc01932f64b");
    }

    #[test]
    fn a_key_is_long_enough_and_never_shown() {
        assert!(SigningKey::new(&KEY[1..]).is_err());
        let shown = format!("{:?}", SigningKey::new(&KEY).unwrap());
        assert_eq!(shown, "SigningKey(…)");
    }
}
