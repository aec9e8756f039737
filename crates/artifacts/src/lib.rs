//! OCI artifacts: layout on disk, registry client, `ModelPack` manifests, lineage, signatures, source fetchers.
//!
//! An artifact is a manifest with one raw layer a file, named by the digest of the manifest. It lives in a [`Store`]: a
//! repository of a registry, or an image layout directory. Users' sources are brought in by [`fetch`].
//! Nothing here knows what a model is, runs a stage or talks to Kubernetes.

mod companions;
mod digest;
mod error;
mod http;
mod landing;
mod layout;
mod limits;
mod manifest;
mod path;
mod progress;
mod reference;
mod registry;
mod signature;
mod source;
mod store;
mod tag;
mod walk;

pub use companions::{Companions, alone};
pub use digest::{Digest, Hasher, HashingReader, HashingWriter, digest_file};
pub use error::{Category, Error, Result, chain};
pub use http::RetryPolicy;
pub use layout::{Collected, Layout, Writer};
pub use limits::{Limits, MAX_FILES, MAX_MANIFEST_BYTES};
pub use manifest::{
    ARTIFACT_TYPE, Bundle, BundleFile, CONFIG_TYPE, Descriptor, Encoded, Kind, Lineage, MANIFEST_TYPE,
    Manifest, ManifestFile, annotation,
};
pub use path::RelPath;
pub use progress::{Progress, SharedProgress, silent};
pub use reference::{Location, Reference, plain_http_allowed};
pub use registry::{Credentials, Registry, RegistryOptions};
pub use signature::{SigningKey, Statement};
pub use source::{
    Authorization, ConfigMapData, FetchOptions, Fetched, FetchedFile, HttpsPolicy, SourceSpec, SourceUri,
    fetch, folder_digest,
};
pub use store::{Pulled, Store, push_path};
pub use tag::Tag;
