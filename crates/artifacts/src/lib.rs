//! OCI artifacts: layout on disk, registry client, ModelPack manifests, lineage, source fetchers.
