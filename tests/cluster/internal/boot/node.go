package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"slipway.dev/tests/cluster/internal/addons"
	"slipway.dev/tests/cluster/internal/control"
	"slipway.dev/tests/cluster/internal/image"
	"slipway.dev/tests/cluster/internal/isolate"
	"slipway.dev/tests/cluster/internal/node"
	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/process"
)

// The hidden subcommands of the first two processes inside the namespaces.
const (
	// Init is the first: it reaps orphans.
	Init = "init"
	// Inner is its child: it starts the components.
	Inner = "inner"
)

// readyFile is the descriptor on which Inside says that the cluster is ready.
const readyFile = 3

// optionsFile carries the options into the namespaces.
func optionsFile(dir string) string { return filepath.Join(dir, "options.json") }

// WriteOptions stores the options for Inside.
func WriteOptions(o *options.Options) error {
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("options: %w", err)
	}
	return os.WriteFile(optionsFile(o.Dir()), text, 0o644)
}

// Inside boots a node whose options lie in dir, says so, and returns when a
// component dies. It runs inside the namespaces, below Init.
func Inside(dir string) error {
	text, err := os.ReadFile(optionsFile(dir))
	if err != nil {
		return fmt.Errorf("options: %w", err)
	}
	var o options.Options
	if err := json.Unmarshal(text, &o); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	s, ctx, err := process.New(context.Background(), o.Logs())
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := isolate.Mounts(o.Dir()); err != nil {
		return err
	}
	if err := startNode(ctx, s, &o); err != nil {
		return err
	}
	ready := os.NewFile(readyFile, "ready")
	if _, err := ready.WriteString("ready\n"); err != nil {
		return fmt.Errorf("saying ready: %w", err)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// startNode starts everything of a node; containerd loads its images while the
// API server starts.
func startNode(ctx context.Context, s *process.Supervisor, o *options.Options) error {
	if err := node.SetUpNetwork(ctx); err != nil {
		return err
	}
	loaded := make(chan error, 1)
	go func() { loaded <- startContainerd(ctx, s, o) }()
	if err := control.StartAPI(ctx, s, o, node.Endpoint()); err != nil {
		return err
	}
	err := errors.Join(control.StartControllers(s, o), node.StartProxy(s, o), node.StartDNS(s, o))
	if err != nil {
		return err
	}
	if err := node.StartStorage(ctx, s, o); err != nil {
		return err
	}
	if err := <-loaded; err != nil {
		return err
	}
	if err := node.StartKubelet(s, o); err != nil {
		return err
	}
	if err := errors.Join(control.WaitNodes(ctx, o, 1), control.WaitAccounts(ctx, o), node.WaitDNS(ctx)); err != nil {
		return err
	}
	if o.Level == options.Full {
		return addons.Start(ctx, o)
	}
	return nil
}

func startContainerd(ctx context.Context, s *process.Supervisor, o *options.Options) error {
	archives, err := image.Bundled(o)
	if err != nil {
		return err
	}
	return node.StartContainerd(ctx, s, o, append(archives, o.Images...))
}
