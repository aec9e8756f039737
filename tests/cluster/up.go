package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"slipway.dev/tests/cluster/internal/janitor"
	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/state"
	"slipway.dev/tests/cluster/internal/supervise"
)

// bootLimit is how long a start may take: far longer than it does.
const bootLimit = 4 * time.Minute

func init() {
	// The kernel kills a child when the thread that started it ends: keep the
	// first thread, which lives as long as the process.
	runtime.LockOSThread()
}

// up boots a cluster and keeps it until its parent is done with it.
func up(args []string) error {
	o, detached, err := parseUp(args)
	if err != nil {
		return err
	}
	if detached {
		return detach(o, args)
	}
	lock, err := state.Lock(o)
	if err != nil {
		return err
	}
	if err := janitor.Clean(o); err != nil {
		return err
	}
	ctx, stop := untilDone(os.Stdin)
	defer stop()
	return supervise.Run(ctx, o, lock, bootLimit, func(line []byte) error {
		_, err := os.Stdout.Write(line)
		return err
	})
}

func parseUp(args []string) (*options.Options, bool, error) {
	o := &options.Options{}
	cache, err := options.DefaultCache()
	if err != nil {
		return nil, false, err
	}
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	level := flags.String("level", "api", "`LEVEL`: api (etcd and API server), node (a real node) or full (and Prometheus)")
	detached := flags.Bool("detach", false, "leave it running in the background; end it with: slipway-cluster down")
	flags.StringVar(&o.Name, "name", fmt.Sprintf("c%d", os.Getpid()), "`NAME` of the cluster")
	flags.BoolVar(&o.Controllers, "controllers", false, "add controller manager and scheduler at level api")
	flags.IntVar(&o.FakeNodes, "kwok", 0, "`NUMBER` of fake nodes at level api, whose pods become Ready at once")
	flags.StringVar(&o.Audit, "audit", "", "`FILE` for one JSON line an API request")
	flags.IntVar(&o.Port, "port", 0, "`PORT` of the API server on 127.0.0.1 (default a free one)")
	flags.StringVar(&o.Cache, "cache", cache, "`FOLDER` of programs and clusters")
	flags.Func("image", "image `ARCHIVE` to load before the node is ready; may be repeated", func(path string) error {
		path, err := filepath.Abs(path)
		o.Images = append(o.Images, path)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return nil, false, err
	}
	if flags.NArg() > 0 {
		return nil, false, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	o.Level = options.Level(*level)
	if o.Audit != "" {
		if o.Audit, err = filepath.Abs(o.Audit); err != nil {
			return nil, false, fmt.Errorf("audit log: %w", err)
		}
	}
	return o, *detached, o.Validate()
}

// untilDone is a context that ends on SIGTERM or SIGINT, when input (if it is a
// pipe) closes, or when the parent process dies. The leader of a session has no
// parent that cares: it was detached.
func untilDone(input *os.File) (context.Context, func()) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	if info, err := input.Stat(); err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 {
		go func() {
			_, _ = io.Copy(io.Discard, input)
			stop()
		}()
	}
	if session, err := unix.Getsid(0); err == nil && session == os.Getpid() {
		return ctx, stop
	}
	parent := os.Getppid()
	go func() {
		for os.Getppid() == parent {
			time.Sleep(500 * time.Millisecond)
		}
		stop()
	}()
	return ctx, stop
}

// clean is the janitor's process.
func clean(args []string) error {
	if len(args) != 2 {
		return errors.New("the janitor is started by up")
	}
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return janitor.Run(os.Stdin, &options.Options{Name: args[0], Cache: args[1]})
}
