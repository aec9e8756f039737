//! Small corrections that the structural schemas of Kubernetes need.

use schemars::Schema;

/// Drops `additionalProperties: false`, which a structural schema with properties must not have.
///
/// The API server prunes unknown fields or refuses them (`fieldValidation=Strict`) by itself.
pub(crate) fn closed(schema: &mut Schema) {
    schema.remove("additionalProperties");
}
