package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"slipway.dev/tests/cluster/internal/boot"
	"slipway.dev/tests/cluster/internal/forward"
	"slipway.dev/tests/cluster/internal/isolate"
	"slipway.dev/tests/cluster/internal/node"
	"slipway.dev/tests/cluster/internal/process"
	"slipway.dev/tests/cluster/internal/state"
)

// errLevel says that a command needs a node.
var errLevel = errors.New("this cluster is of level api: it has no node and no network of its own")

// runInit is the first process inside a cluster's namespaces.
func runInit(args []string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("this program's path: %w", err)
	}
	ready := os.NewFile(3, "ready")
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr, ready}
	code, err := isolate.Init(append([]string{program, boot.Inner}, args...), files)
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

// runInner starts the cluster's components, below runInit.
func runInner(args []string) error {
	if len(args) != 1 {
		return errors.New("this is started by up")
	}
	return boot.Inside(args[0])
}

// forwardPort carries a loopback port to an address inside a cluster until
// stdin closes or the cluster ends.
func forwardPort(args []string) error {
	o, flags, err := namedFlags("forward")
	if err != nil {
		return err
	}
	port := flags.Int("port", 0, "`PORT` on 127.0.0.1 (default a free one)")
	flags.Usage = usageOf(flags, "forward [FLAGS] IP:PORT | NAME.NAMESPACE.svc.cluster.local:PORT\nprints 127.0.0.1:PORT and carries connections until stdin closes or the cluster ends")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("forward: want one address")
	}
	s, err := state.Read(o)
	if err != nil {
		return err
	}
	if s.PID == 0 {
		return errLevel
	}
	network, err := isolate.OpenNetwork(s.PID)
	if err != nil {
		return err
	}
	defer network.Close()
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(*port)))
	if err != nil {
		return fmt.Errorf("forward: %w", err)
	}
	ctx, stop := untilDone(os.Stdin)
	defer stop()
	context.AfterFunc(ctx, func() { listener.Close() })
	go func() {
		if err := isolate.WaitEnd(s.PID); err != nil {
			fmt.Fprintln(os.Stderr, "forward:", err)
		}
		stop()
	}()
	fmt.Println(listener.Addr())
	return forward.Serve(ctx, listener, func(ctx context.Context) (net.Conn, error) {
		conn, err := dialInside(ctx, network, flags.Arg(0))
		if err != nil {
			fmt.Fprintln(os.Stderr, "forward:", err)
		}
		return conn, err
	})
}

// dialInside connects to an address or a Service's name inside a cluster.
func dialInside(ctx context.Context, network *isolate.Network, address string) (net.Conn, error) {
	resolved, err := network.Resolve(ctx, node.IP, address)
	if err != nil {
		return nil, err
	}
	return network.Dial(ctx, "tcp", resolved)
}

// loadImages loads image archives into a running node.
func loadImages(args []string) error {
	o, flags, err := namedFlags("load")
	if err != nil {
		return err
	}
	flags.Usage = usageOf(flags, "load [FLAGS] ARCHIVE...")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := state.Read(o)
	if err != nil {
		return err
	}
	if s.PID == 0 {
		return errLevel
	}
	for _, archive := range flags.Args() {
		enter := []string{"nsenter", "-t", strconv.Itoa(s.PID), "-n", "-m", "-p"}
		out, err := process.Run(context.Background(), nil, append(enter, node.ImportCommand(archive)...)...)
		if err != nil {
			return fmt.Errorf("%s: %w", archive, err)
		}
		fmt.Print(string(out))
	}
	return nil
}
