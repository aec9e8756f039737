//! Help, versions and completions: what a newcomer sees first.

use crate::program::Room;

const COMMANDS: [&str; 10] = [
    "run",
    "plan",
    "inspect",
    "calibrate",
    "quantize",
    "simplify",
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
fn completions_know_the_commands() {
    let room = Room::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = room.slipway(&["completions", shell]).text();
        assert!(COMMANDS.iter().all(|command| script.contains(command)), "{shell}");
    }
}
