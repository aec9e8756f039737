//! Generates the ONNX messages from the public schema, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto/onnx.proto");
    let descriptors = protox::compile(["proto/onnx.proto"], ["proto"])?;
    prost_build::Config::new().bytes(["."]).disable_comments(["."]).compile_fds(descriptors)?;
    Ok(())
}
