//! The reference page of every field, generated from the same schema as the CRD.

use serde_json::{Map, Value};

use crate::crd::crd;

const HEAD: &str = "\
# Every field of a ModelDeployment

Generated from the types by `make generate`; a test holds it to them. `kubectl explain modeldeployment.spec --recursive` prints the
same from a cluster. **Bold** fields are required where the object around them is given; `[]` is each item of a list, `{}` each value
of a map. Rates, ratios and percentiles are strings, so that they reach a cluster as they were written.
";

/// The page of every field of `spec` and `status`, as Markdown: type, default, bounds, meaning, and the rules between fields.
///
/// # Panics
/// Never for the committed types: the drift test runs this on every change.
pub fn reference() -> String {
    let crd = serde_json::to_value(crd()).expect("a CRD serialises to JSON");
    let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let mut page = HEAD.to_owned();
    for half in ["spec", "status"] {
        page += &["\n## ", half, "\n\n", &sentence(&root[half]), "\n"].concat();
        for (name, field) in properties(&root[half]) {
            page += &section(&format!("{half}.{name}"), field, is_required(&root[half], name));
        }
        page += &rules_of(&root[half]);
    }
    page
}

/// One field of the first level, with all that is below it.
fn section(path: &str, schema: &Value, required: bool) -> String {
    let mut rows = vec![row(path, schema, required)];
    let mut rules = Vec::new();
    descend(path, schema, &mut rows, &mut rules);
    let rows = rows.concat();
    let rules = if rules.is_empty() { String::new() } else { format!("\n{}", rules.concat()) };
    format!("\n### {path}\n\n| field | type | default | meaning |\n|---|---|---|---|\n{rows}{rules}")
}

fn descend(path: &str, schema: &Value, rows: &mut Vec<String>, rules: &mut Vec<String>) {
    for rule in rules_here(schema) {
        rules.push(format!("- `{path}`: {rule}\n"));
    }
    for (name, field) in properties(schema) {
        let path = format!("{path}.{name}");
        rows.push(row(&path, field, is_required(schema, name)));
        descend(&path, field, rows, rules);
    }
    if schema["items"].is_object() {
        descend(&format!("{path}[]"), &schema["items"], rows, rules);
    }
    if schema["additionalProperties"].is_object() {
        descend(&format!("{path}{{}}"), &schema["additionalProperties"], rows, rules);
    }
}

fn row(path: &str, schema: &Value, required: bool) -> String {
    let name = path.split_once('.').map_or(path, |(_, below)| below);
    let name = if required { format!("**`{name}`**") } else { format!("`{name}`") };
    let default = match &schema["default"] {
        Value::Null => String::new(),
        default => format!("`{default}`"),
    };
    format!("| {name} | {} | {default} | {} |\n", kind(schema), cell(&sentence(schema)))
}

/// The type and its bounds.
fn kind(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> =
            values.iter().filter_map(Value::as_str).map(|text| format!("`{text}`")).collect();
        return values.join(" \\| ");
    }
    let whole = |key: &str| {
        schema[key].as_i64().or_else(|| {
            #[expect(clippy::cast_possible_truncation, reason = "bounds of schemas are whole numbers")]
            schema[key].as_f64().map(|bound| bound as i64)
        })
    };
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", kind(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map of {}", kind(&schema["additionalProperties"]))
        }
        Some("integer") => match (whole("minimum"), whole("maximum")) {
            (Some(least), Some(most)) => format!("integer, {least} to {most}"),
            (Some(least), None) => format!("integer, from {least}"),
            _ => "integer".to_owned(),
        },
        Some(other) => other.to_owned(),
        None if schema["x-kubernetes-int-or-string"] == true => "integer or string".to_owned(),
        None => "any".to_owned(),
    }
}

fn rules_of(schema: &Value) -> String {
    rules_here(schema).iter().flat_map(|rule| ["\n- ", rule]).collect()
}

fn rules_here(schema: &Value) -> Vec<String> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    rules.filter_map(|rule| rule["message"].as_str()).map(str::to_owned).collect()
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    schema["properties"].as_object().unwrap_or(&NONE).iter()
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|required| required.iter().any(|one| one == name))
}

fn sentence(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text that does not end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
