// Package supervise is the process outside a cluster that owns it: it boots the
// cluster, says when it is ready, and ends it.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"slipway.dev/tests/cluster/internal/boot"
	"slipway.dev/tests/cluster/internal/certs"
	"slipway.dev/tests/cluster/internal/control"
	"slipway.dev/tests/cluster/internal/janitor"
	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/process"
	"slipway.dev/tests/cluster/internal/state"
)

// Run boots a cluster, calls ready with its JSON line, and returns when ctx
// ends or a component dies; by then nothing of the cluster is left. It must run
// on a locked thread that outlives it.
func Run(ctx context.Context, o *options.Options, lock *os.File, limit time.Duration, ready func([]byte) error) (err error) {
	started := time.Now()
	if err := os.MkdirAll(o.Dir(), 0o755); err != nil {
		return fmt.Errorf("folder of the cluster: %w", err)
	}
	cleaner, err := janitor.Start(o, lock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleaner.Finish()) }()
	s, alive, err := process.New(ctx, o.Logs())
	if err != nil {
		return err
	}
	defer s.Stop()

	booting, done := context.WithTimeoutCause(alive, limit, fmt.Errorf("it took longer than %s", limit))
	defer done()
	start := startAPI
	if o.Level != options.API {
		start = startNode
	}
	running, err := start(booting, s, o, cleaner)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	running.BootSeconds = time.Since(started).Seconds()
	line, err := running.Write(o.Dir())
	if err != nil {
		return err
	}
	if err := ready(line); err != nil {
		return err
	}
	<-alive.Done()
	return ignoreEnd(ctx, context.Cause(alive))
}

// ignoreEnd drops an error that only says that the caller wanted an end.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// startAPI boots level api: loopback ports of this machine, no namespaces.
func startAPI(ctx context.Context, s *process.Supervisor, o *options.Options, _ *janitor.Handle) (*state.State, error) {
	endpoint, err := control.Loopback(o.Port)
	if err != nil {
		return nil, err
	}
	hosts := []string{"127.0.0.1", "localhost", "kubernetes.default.svc", control.FirstService}
	if err := certs.WritePKI(o.PKI(), endpoint.URL(), endpoint.URL(), hosts); err != nil {
		return nil, err
	}
	if err := boot.API(ctx, s, o, endpoint); err != nil {
		return nil, err
	}
	return describe(o, endpoint.URL()), nil
}

// describe is what every level's state has in common.
func describe(o *options.Options, server string) *state.State {
	return &state.State{
		Ready: true, Name: o.Name, Level: o.Level,
		Kubeconfig: o.Kubeconfig("admin"), Server: server,
		Supervisor: os.Getpid(), Logs: o.Logs(), Audit: o.Audit, Kubectl: o.Bin("kubectl"),
	}
}
