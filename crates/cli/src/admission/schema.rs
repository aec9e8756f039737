//! Structural schemas: defaults, types and bounds, as the API server applies them.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};
use slipway_api::{Duration, Fraction, Percent, Ratio};

use super::near::near;

/// Fills in defaults, parents first.
pub(super) fn set_defaults(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, child) in schema["properties"].as_object().into_iter().flatten() {
                if let (None, Some(default)) = (map.get(name), child.get("default")) {
                    map.insert(name.clone(), default.clone());
                }
                if let Some(value) = map.get_mut(name) {
                    set_defaults(child, value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| set_defaults(&schema["items"], item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every problem of a value, each with its field.
pub(super) fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    check(schema, value, "", &mut problems);
    problems
}

fn check(schema: &Value, value: &Value, path: &str, problems: &mut Vec<String>) {
    let wanted = schema["type"].as_str().unwrap_or("object");
    let is = type_of(value);
    if is != wanted && !(is == "integer" && wanted == "number") {
        let advice = advice(value, wanted).unwrap_or_default();
        problems.push(format!("{path}: is {}, and {wanted} is wanted{advice}", with_article(is)));
        return;
    }
    match value {
        Value::Object(map) => check_object(schema, map, path, problems),
        Value::Array(items) => check_array(schema, items, path, problems),
        Value::String(text) => check_string(schema, text, path, problems),
        Value::Number(number) => check_number(schema, number, path, problems),
        Value::Null | Value::Bool(_) => {}
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn with_article(name: &str) -> String {
    match name {
        "null" => "null".into(),
        "array" | "integer" | "object" => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

/// How a value of another type is written, where quotes make the difference.
fn advice(value: &Value, wanted: &str) -> Option<String> {
    match value {
        Value::Number(_) | Value::Bool(_) if wanted == "string" => {
            Some(format!(": write it in quotes: \"{value}\""))
        }
        Value::String(text) => {
            let bare: Value = serde_json::from_str(text).ok()?;
            let fits = type_of(&bare) == wanted || (type_of(&bare), wanted) == ("integer", "number");
            fits.then(|| format!(": write it without quotes: {text}"))
        }
        _ => None,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn check_object(
    schema: &Value,
    map: &serde_json::Map<String, Value>,
    path: &str,
    problems: &mut Vec<String>,
) {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            problems.push(format!("{}: is required", join(path, name)));
        }
    }
    bound(schema, "maxProperties", map.len(), |limit| map.len() > limit, path, problems);
    let free = schema["x-kubernetes-preserve-unknown-fields"] == Value::Bool(true);
    for (name, value) in map {
        let path = join(path, name);
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(child), _) | (None, Some(child)) => check(child, value, &path, problems),
            (None, None) if free => {}
            (None, None) => problems.push(format!("{path}: unknown field{}", known(schema, name))),
        }
    }
}

/// What an unknown field may have been meant to be.
fn known(schema: &Value, name: &str) -> String {
    let names = || schema["properties"].as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    match (near(name, names()), names().next()) {
        (Some(near), _) => format!(": did you mean {near}?"),
        (None, Some(_)) => format!("; known are {}", names().collect::<Vec<_>>().join(", ")),
        (None, None) => String::new(),
    }
}

fn check_array(schema: &Value, items: &[Value], path: &str, problems: &mut Vec<String>) {
    bound(schema, "maxItems", items.len(), |limit| items.len() > limit, path, problems);
    bound(schema, "minItems", items.len(), |limit| items.len() < limit, path, problems);
    for (index, item) in items.iter().enumerate() {
        check(&schema["items"], item, &format!("{path}[{index}]"), problems);
    }
    if let Some(key) = schema["x-kubernetes-list-map-keys"][0].as_str() {
        let mut seen = BTreeSet::new();
        for name in items.iter().filter_map(|item| item[key].as_str()) {
            if !seen.insert(name) {
                problems.push(format!("{path}: {name} is there twice"));
            }
        }
    }
}

fn bound(
    schema: &Value,
    keyword: &str,
    is: usize,
    breaks: impl Fn(usize) -> bool,
    path: &str,
    problems: &mut Vec<String>,
) {
    let limit = schema[keyword].as_u64().and_then(|limit| usize::try_from(limit).ok());
    if let Some(limit) = limit.filter(|limit| breaks(*limit)) {
        problems.push(format!("{path}: has {is} entries or characters, and {keyword} is {limit}"));
    }
}

fn check_string(schema: &Value, text: &str, path: &str, problems: &mut Vec<String>) {
    let length = text.chars().count();
    bound(schema, "maxLength", length, |limit| length > limit, path, problems);
    bound(schema, "minLength", length, |limit| length < limit, path, problems);
    if let Some(values) = schema["enum"].as_array()
        && !values.iter().any(|value| value == text)
    {
        let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        let meant = near(text, values.iter().copied()).map(|near| format!(": did you mean {near}?"));
        let meant = meant.unwrap_or_default();
        problems.push(format!("{path}: {text:?} is not one of {}{meant}", values.join(", ")));
    }
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    if Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text)) {
        let words = scalar(pattern, text).unwrap_or_else(|| format!("{text:?} does not match {pattern:?}"));
        problems.push(format!("{path}: {words}"));
    }
}

/// Why a text is no scalar of the API, where its pattern is that of one.
fn scalar(pattern: &str, text: &str) -> Option<String> {
    let error = match pattern {
        Fraction::PATTERN => text.parse::<Fraction>().err(),
        Ratio::PATTERN => text.parse::<Ratio>().err(),
        Percent::PATTERN => text.parse::<Percent>().err(),
        Duration::PATTERN => text.parse::<Duration>().err(),
        _ => None,
    };
    error.map(|error| error.to_string())
}

fn check_number(schema: &Value, number: &serde_json::Number, path: &str, problems: &mut Vec<String>) {
    let Some(value) = number.as_f64() else { return };
    if let Some(minimum) = schema["minimum"].as_f64().filter(|minimum| value < *minimum) {
        problems.push(format!("{path}: {number} is less than {minimum}"));
    }
    if let Some(maximum) = schema["maximum"].as_f64().filter(|maximum| value > *maximum) {
        problems.push(format!("{path}: {number} is more than {maximum}"));
    }
}
