//! ModelDeployment: spec, status, conditions and reasons, names and labels.
