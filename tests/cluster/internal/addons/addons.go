// Package addons installs what level full has beyond a node: the Prometheus
// operator and a Prometheus.
package addons

import (
	"context"

	"slipway.dev/tests/cluster/internal/options"
)

// Start installs the add-ons and returns when they are ready.
func Start(ctx context.Context, o *options.Options) error {
	return nil
}
