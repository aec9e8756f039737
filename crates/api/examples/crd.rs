//! Prints the `CustomResourceDefinition` as YAML; `make generate` writes it to `crds/`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", slipway_api::yaml::to_string(&slipway_api::crd::crd())?);
    Ok(())
}
