// Package forward carries TCP connections from a port of this machine's
// loopback to an address that a dialer reaches.
package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// Dial opens one connection to the far side.
type Dial func(ctx context.Context) (net.Conn, error)

// Serve accepts connections until the listener is closed, and dials anew for
// each. A connection whose far side cannot be reached is closed.
func Serve(ctx context.Context, listener net.Listener, dial Dial) error {
	for {
		near, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go carry(ctx, near, dial)
	}
}

// carry copies both ways until both sides have ended.
func carry(ctx context.Context, near net.Conn, dial Dial) {
	defer near.Close()
	far, err := dial(ctx)
	if err != nil {
		return
	}
	defer far.Close()
	var both sync.WaitGroup
	both.Go(func() { oneWay(far, near) })
	both.Go(func() { oneWay(near, far) })
	both.Wait()
}

// oneWay copies until from ends, and then tells to that nothing more comes. An
// error means that a side went away: the other copy ends too, for the reader
// closes what it can no longer serve.
func oneWay(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
