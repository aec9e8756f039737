// Command slipway-cluster boots a real Kubernetes on this machine for tests and
// developers, and removes it without a trace.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"

	"slipway.dev/tests/cluster/internal/boot"
	"slipway.dev/tests/cluster/internal/janitor"
)

// command is one subcommand: what it does, and its one line of help; a
// subcommand without help is internal.
type command struct {
	run  func(args []string) error
	help string
}

func commands() map[string]command {
	return map[string]command{
		"up":            {up, "boot a cluster, print one JSON line when it is ready, and keep it until stdin closes"},
		"down":          {down, "end a cluster that was booted with --detach"},
		"forward":       {forwardPort, "carry a port of this machine to an address inside a cluster"},
		"image":         {makeImages, "make image archives from static programs"},
		"load":          {loadImages, "load image archives into a running cluster's node"},
		janitor.Command: {run: clean},
		boot.Init:       {run: runInit},
		boot.Inner:      {run: runInner},
	}
}

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	chosen, ok := commands()[os.Args[1]]
	if !ok {
		usage()
	}
	if err := chosen.run(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "slipway-cluster:", err)
		os.Exit(1)
	}
}

// usage lists the subcommands and ends.
func usage() {
	var lines []string
	for name, c := range commands() {
		if c.help != "" {
			lines = append(lines, fmt.Sprintf("  %-8s %s", name, c.help))
		}
	}
	sort.Strings(lines)
	fmt.Fprintf(os.Stderr, "usage: slipway-cluster COMMAND [FLAGS]\n%s\n\nslipway-cluster COMMAND -h lists the flags.\n", strings.Join(lines, "\n"))
	os.Exit(2)
}
