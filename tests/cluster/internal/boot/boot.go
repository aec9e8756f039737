// Package boot starts the components of one level in their order. It runs where
// the cluster lives: at level api in the supervisor, else inside the namespaces.
package boot

import (
	"context"

	"slipway.dev/tests/cluster/internal/control"
	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/process"
)

// API starts a control plane on loopback, with what the options add to it.
func API(ctx context.Context, s *process.Supervisor, o *options.Options, e control.Endpoint) error {
	if err := control.StartAPI(ctx, s, o, e); err != nil {
		return err
	}
	if o.Controllers || o.FakeNodes > 0 {
		if err := control.StartControllers(s, o); err != nil {
			return err
		}
	}
	if o.FakeNodes > 0 {
		if err := control.StartFakeNodes(ctx, s, o); err != nil {
			return err
		}
	}
	if o.Controllers || o.FakeNodes > 0 {
		return control.WaitAccounts(ctx, o)
	}
	return nil
}
