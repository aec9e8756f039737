//! Prints the reference page of every field as Markdown; `make generate` writes it to `docs/`.

fn main() {
    print!("{}", slipway_api::reference::reference());
}
