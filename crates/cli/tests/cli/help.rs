//! Help, versions and completions: what a newcomer sees first.

use crate::program::Room;

const COMMANDS: [&str; 12] = [
    "run",
    "plan",
    "inspect",
    "calibrate",
    "quantize",
    "sensitivity",
    "simplify",
    "smooth",
    "evaluate",
    "serve",
    "push",
    "completions",
];

#[test]
fn help_names_every_command_with_examples_and_the_exit_codes() {
    let room = Room::new();
    let help = room.slipway(&["--help"]).text();
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
        let own = room.slipway(&[command, "--help"]).text();
        assert!(own.contains("Examples:\n  slipway "), "{own}");
    }
    assert!(
        help.contains("Exit codes: 0 done, 1 failed, 2 a wrong call or a refused spec, 3 the gate"),
        "{help}"
    );
}

#[test]
fn the_version_is_the_programs() {
    assert_eq!(
        Room::new().slipway(&["--version"]).text(),
        concat!("slipway ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn a_wrong_call_ends_with_two_and_says_how_to_call() {
    let room = Room::new();
    for call in [&["fly"][..], &["run"], &["quantize", "a", "b", "--granularity", "none"]] {
        room.slipway(call).fails(2, &["--help"]);
    }
    let bare = room.slipway(&[]);
    assert_eq!((bare.code, bare.out.as_str()), (2, ""));
    assert!(bare.err.contains("Usage: slipway"), "{}", bare.err);
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let room = Room::new();
    for (call, reason, code, words) in [
        (&["inspect", "absent.onnx", "--json"][..], "InvalidInput", 1, "absent.onnx"),
        (&["quantize", "--json"], "WrongCall", 2, "Usage: slipway quantize"),
        (&["quantize", "absent.onnx", "out.onnx", "--json"], "InvalidInput", 1, "absent.onnx"),
    ] {
        let done = room.slipway(call);
        assert_eq!((done.code, done.out.as_str()), (code, ""), "{done:?}");
        let error: serde_json::Value = serde_json::from_str(&done.err).unwrap();
        assert_eq!(error["error"]["reason"], reason, "{done:?}");
        assert_eq!(error["error"]["exitCode"], code);
        assert!(error["error"]["message"].as_str().unwrap().contains(words), "{done:?}");
    }
}

#[test]
fn completions_know_the_commands() {
    let room = Room::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = room.slipway(&["completions", shell]).text();
        assert!(COMMANDS.iter().all(|command| script.contains(command)), "{shell}");
    }
}
