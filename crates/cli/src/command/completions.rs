//! `slipway completions`: what a shell needs to complete commands and options.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::{error::Error, output};

/// Print the completions of a shell
#[derive(Args)]
#[command(after_help = "\
Examples:
  slipway completions bash > ~/.local/share/bash-completion/completions/slipway
  slipway completions zsh > ~/.zfunc/_slipway
  slipway completions fish > ~/.config/fish/completions/slipway.fish")]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, command: &mut Command) -> Result<(), Error> {
        let mut script = Vec::new();
        generate(self.shell, command, "slipway", &mut script);
        output::print(&String::from_utf8_lossy(&script))
    }
}
