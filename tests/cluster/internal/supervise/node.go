package supervise

import (
	"context"
	"errors"

	"slipway.dev/tests/cluster/internal/janitor"
	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/process"
	"slipway.dev/tests/cluster/internal/state"
)

func startNode(context.Context, *process.Supervisor, *options.Options, *janitor.Handle) (*state.State, error) {
	return nil, errors.New("not here")
}
