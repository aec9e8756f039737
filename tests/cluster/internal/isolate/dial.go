package isolate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Network is the network namespace of a cluster, seen from outside.
type Network struct {
	file *os.File
}

// OpenNetwork opens the network namespace that the process pid is in. It needs
// root. Close it after use.
func OpenNetwork(pid int) (*Network, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, fmt.Errorf("the cluster's network: %w", err)
	}
	return &Network{file: file}, nil
}

// WaitEnd returns when the process pid, which holds the namespace, has ended.
// Whoever still has the namespace open then keeps its devices alive.
func WaitEnd(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("watching process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Close lets the namespace go.
func (n *Network) Close() error { return n.file.Close() }

// Dial connects from inside the namespace. The address is an IP and a port: a
// name would be resolved outside.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// Never unlocked: the thread has left its namespace and ends with
		// this goroutine.
		runtime.LockOSThread()
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- result{err: fmt.Errorf("entering the cluster's network: %w", err)}
			return
		}
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

// Resolve turns `NAME:PORT` into `IP:PORT` by asking the DNS server at that IP
// inside the namespace; an address that is an IP already stays as it is.
func (n *Network) Resolve(ctx context.Context, server, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", address, err)
	}
	if net.ParseIP(host) != nil {
		return address, nil
	}
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return n.Dial(ctx, network, net.JoinHostPort(server, "53"))
	}}
	ips, err := resolver.LookupIP(ctx, "ip4", host)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", address, err)
	}
	return net.JoinHostPort(ips[0].String(), port), nil
}
