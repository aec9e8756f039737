//! Generates the ONNX messages from the public schema, without `protoc`, and what each field may hold.

use std::fmt::Write as _;
use std::path::Path;

use protox::prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use protox::prost_reflect::prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto/onnx.proto");
    let descriptors = protox::compile(["proto/onnx.proto"], ["proto"])?;
    let folder = std::env::var("OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("schema.rs"), schema(&descriptors))?;
    prost_build::Config::new().bytes(["."]).disable_comments(["."]).compile_fds(descriptors)?;
    Ok(())
}

/// A table of all messages: their sizes in memory, and their fields that take memory beyond that.
///
/// Made from the schema itself, so that no field is forgotten when the schema grows.
fn schema(descriptors: &FileDescriptorSet) -> String {
    let mut messages = Vec::new();
    for file in &descriptors.file {
        for message in &file.message_type {
            collect(&format!(".{}", file.package()), "super::proto", message, &mut messages);
        }
    }
    let index = |name: &str| messages.iter().position(|message| message.name == name).unwrap_or_default();
    let mut out = format!("pub(super) static MESSAGES: [Message; {}] = [\n", messages.len());
    for Message { path, descriptor, .. } in &messages {
        let fields = descriptor.field.iter().filter_map(|field| Some((field.number(), kind(field, &index)?)));
        let fields: Vec<_> = fields.map(|(number, kind)| format!("({number}, Field::{kind})")).collect();
        let _ = writeln!(out, "Message {{ size: size_of::<{path}>(), fields: &[{}] }},", fields.join(", "));
    }
    let constant = |name| index(&format!(".onnx.{name}"));
    let _ = writeln!(out, "];\npub(super) const MODEL: usize = {};", constant("ModelProto"));
    let _ = writeln!(out, "pub(super) const TENSOR: usize = {};", constant("TensorProto"));
    out
}

struct Message<'a> {
    /// As fields refer to it.
    name: String,
    /// The generated type.
    path: String,
    descriptor: &'a DescriptorProto,
}

fn collect<'a>(package: &str, module: &str, descriptor: &'a DescriptorProto, out: &mut Vec<Message<'a>>) {
    let name = format!("{package}.{}", descriptor.name());
    let inside = format!("{module}::{}", snake(descriptor.name()));
    out.push(Message { name: name.clone(), path: format!("{module}::{}", descriptor.name()), descriptor });
    descriptor.nested_type.iter().for_each(|nested| collect(&name, &inside, nested, out));
}

/// What a field takes beyond its message; `None` for a single number, which is part of it, and for bytes, which stay
/// where they are.
fn kind(field: &FieldDescriptorProto, index: &impl Fn(&str) -> usize) -> Option<String> {
    let repeated = field.label() == Label::Repeated;
    Some(match field.r#type() {
        Type::Message | Type::Group => format!("Message({})", index(field.type_name())),
        Type::String if repeated => "Text(size_of::<String>())".to_owned(),
        Type::String => "Text(0)".to_owned(),
        Type::Bytes if repeated => "Bytes".to_owned(),
        _ if !repeated => return None,
        Type::Bytes => return None,
        Type::Double | Type::Fixed64 | Type::Sfixed64 => "Fixed(8)".to_owned(),
        Type::Float | Type::Fixed32 | Type::Sfixed32 => "Fixed(4)".to_owned(),
        Type::Int64 | Type::Uint64 | Type::Sint64 => "Varints(8)".to_owned(),
        Type::Int32 | Type::Uint32 | Type::Sint32 | Type::Enum | Type::Bool => "Varints(4)".to_owned(),
    })
}

/// The name of the module in which a message's own messages are.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for (place, letter) in name.char_indices() {
        if letter.is_uppercase() && place > 0 {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
