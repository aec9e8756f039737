//! What the paths of the REST protocol mean, and which names of models can stand in them.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything that a path can mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Server,
    Live,
    Ready,
    Model(Target<'a>),
    ModelReady(Target<'a>),
    Versions(Cow<'a, str>),
    Infer(Target<'a>),
}

/// A model by its name and, where the path says one, its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) version: Option<Cow<'a, str>>,
}

/// What a path means; names and versions are decoded (`%3A` is a colon), as clients escape them.
pub(super) fn route(path: &str) -> Option<Route<'_>> {
    let path = path.strip_prefix("/v2")?.trim_end_matches('/');
    let mut parts = path.split('/').map(decoded);
    if parts.next() != Some(Some("".into())) {
        return None;
    }
    let parts: Vec<_> = parts.collect::<Option<_>>()?;
    let words: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    let target = |version: Option<usize>| Target {
        name: parts[1].clone(),
        version: version.map(|at| parts[at].clone()),
    };
    match words.as_slice() {
        [] => Some(Route::Server),
        ["health", "live"] => Some(Route::Live),
        ["health", "ready"] => Some(Route::Ready),
        ["models", _] => Some(Route::Model(target(None))),
        ["models", _, "ready"] => Some(Route::ModelReady(target(None))),
        ["models", _, "infer"] => Some(Route::Infer(target(None))),
        ["models", name, "versions"] => Some(Route::Versions((*name).to_owned().into())),
        ["models", _, "versions", _] => Some(Route::Model(target(Some(3)))),
        ["models", _, "versions", _, "ready"] => Some(Route::ModelReady(target(Some(3)))),
        ["models", _, "versions", _, "infer"] => Some(Route::Infer(target(Some(3)))),
        _ => None,
    }
}

fn decoded(part: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(part).decode_utf8().ok()
}

/// What clients escape in a part of a path: all but letters, digits and `-._~`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A model's name as it stands in a URL.
pub fn escaped(name: &str) -> impl fmt::Display {
    utf8_percent_encode(name, ESCAPED)
}

/// Why a model's name is refused.
#[derive(Debug, thiserror::Error)]
#[error("no client could ask for a model named {0:?}: take a name without slashes and control characters")]
pub struct WrongName(String);

/// Refuses a model's name that no client can ask for: clients do not escape slashes, and drop parts such as `..`.
///
/// # Errors
/// [`WrongName`].
pub fn check_name(name: &str) -> Result<(), WrongName> {
    let is_wrong =
        name.contains('/') || name.chars().any(char::is_control) || matches!(name, "" | "." | "..");
    if is_wrong { Err(WrongName(name.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_the_protocol_says() {
        let target = |name: &'static str, version: Option<&'static str>| Target {
            name: name.into(),
            version: version.map(Into::into),
        };
        for (path, expected) in [
            ("/v2", Some(Route::Server)),
            ("/v2/", Some(Route::Server)),
            ("/v2/health/live", Some(Route::Live)),
            ("/v2/health/ready", Some(Route::Ready)),
            ("/v2/models/m", Some(Route::Model(target("m", None)))),
            ("/v2/models/m/ready", Some(Route::ModelReady(target("m", None)))),
            ("/v2/models/m/infer", Some(Route::Infer(target("m", None)))),
            ("/v2/models/m/versions", Some(Route::Versions("m".into()))),
            ("/v2/models/m/versions/1", Some(Route::Model(target("m", Some("1"))))),
            ("/v2/models/m/versions/1/ready", Some(Route::ModelReady(target("m", Some("1"))))),
            ("/v2/models/m/versions/1/infer", Some(Route::Infer(target("m", Some("1"))))),
            ("/v2/models/bert%3abase%20%C3%A9/infer", Some(Route::Infer(target("bert:base \u{e9}", None)))),
            ("/v2/models/a%2Fb", Some(Route::Model(target("a/b", None)))),
            ("/v2/models/%FF", None),
            ("/v2x", None),
            ("/v1/models/m", None),
            ("/", None),
            ("/v2/models/m/infer/x", None),
            ("/v2/models/m/versions/1/infer/x", None),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn every_name_that_is_not_refused_is_found_as_clients_escape_it() {
        for name in ["bert:base", "my model", "\u{e9}#?%&+", "a.b_c~d-e", "100%"] {
            check_name(name).unwrap();
            let path = format!("/v2/models/{}/infer", escaped(name));
            let found = route(&path);
            assert_eq!(found, Some(Route::Infer(Target { name: name.into(), version: None })), "{path}");
        }
        for name in ["", ".", "..", "a/b", "a\nb"] {
            assert!(check_name(name).unwrap_err().to_string().contains(&format!("{name:?}")));
        }
    }
}
