package supervise

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"

	"slipway.dev/tests/cluster/internal/boot"
	"slipway.dev/tests/cluster/internal/certs"
	"slipway.dev/tests/cluster/internal/control"
	"slipway.dev/tests/cluster/internal/forward"
	"slipway.dev/tests/cluster/internal/isolate"
	"slipway.dev/tests/cluster/internal/janitor"
	"slipway.dev/tests/cluster/internal/node"
	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/process"
	"slipway.dev/tests/cluster/internal/state"
)

// startNode boots levels node and full: in namespaces of their own, with a port
// of this machine's loopback carried to the API server.
func startNode(ctx context.Context, s *process.Supervisor, o *options.Options, cleaner *janitor.Handle) (*state.State, error) {
	if err := isolate.Available(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
	if err != nil {
		return nil, fmt.Errorf("port of the API server: %w", err)
	}
	outside := "https://" + listener.Addr().String()
	if err := writeNodeFiles(o, outside); err != nil {
		return nil, err
	}
	pid, err := spawn(ctx, s, o, cleaner)
	if err != nil {
		return nil, err
	}
	network, err := isolate.OpenNetwork(pid)
	if err != nil {
		return nil, err
	}
	api := net.JoinHostPort(node.IP, strconv.Itoa(node.Endpoint().API))
	go func() {
		// It ends with this process.
		_ = forward.Serve(context.WithoutCancel(ctx), listener, func(ctx context.Context) (net.Conn, error) {
			return network.Dial(ctx, "tcp", api)
		})
	}()
	running := describe(o, outside)
	running.PID, running.NodeIP = pid, node.IP
	return running, nil
}

func writeNodeFiles(o *options.Options, outside string) error {
	hosts := []string{
		node.IP, control.FirstService, "127.0.0.1", "localhost",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + node.Domain,
	}
	if err := certs.WritePKI(o.PKI(), node.Endpoint().URL(), outside, hosts); err != nil {
		return err
	}
	return boot.WriteOptions(o)
}

// spawn starts the first process of the namespaces, returns its id, and waits
// until all inside is ready.
func spawn(ctx context.Context, s *process.Supervisor, o *options.Options, cleaner *janitor.Handle) (int, error) {
	program, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("this program's path: %w", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("pipe: %w", err)
	}
	defer read.Close()
	cmd := exec.Command(program, boot.Init, o.Dir())
	cmd.ExtraFiles = []*os.File{write}
	cmd.SysProcAttr = isolate.Attributes()
	err = s.StartCommand("node", cmd)
	write.Close()
	if err != nil {
		return 0, err
	}
	if err := cleaner.Watch(cmd.Process.Pid); err != nil {
		return 0, err
	}
	ready := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(read).ReadString('\n')
		ready <- err
	}()
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		// The end of the pipe is only a sign: the cause follows.
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}
	return cmd.Process.Pid, nil
}
