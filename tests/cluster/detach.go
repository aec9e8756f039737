package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/state"
)

// detach starts `up` again in a session of its own, waits until it is ready,
// and prints how to use it.
func detach(o *options.Options, args []string) error {
	if running, err := state.Read(o); err == nil {
		return explain(running)
	}
	if err := os.MkdirAll(filepath.Join(o.Cache, "logs"), 0o755); err != nil {
		return fmt.Errorf("folder for logs: %w", err)
	}
	log, err := os.Create(filepath.Join(o.Cache, "logs", "cluster-"+o.Name+".log"))
	if err != nil {
		return fmt.Errorf("log of the cluster: %w", err)
	}
	defer log.Close()
	args = slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
		return arg == "--detach" || arg == "-detach"
	})
	cmd := exec.Command("/proc/self/exe", append([]string{"up", "--name", o.Name}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the cluster: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	for {
		if running, err := state.Read(o); err == nil {
			return explain(running)
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("the cluster ended before it was ready (%s): %s", cmd.ProcessState, text)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// explain prints how to use a running cluster.
func explain(s *state.State) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("this program's path: %w", err)
	}
	fmt.Printf("Kubernetes is ready (level %s, started in %.1f s).\n\n  export KUBECONFIG=%s\n  %s get nodes,pods -A\n",
		s.Level, s.BootSeconds, s.Kubeconfig, s.Kubectl)
	if s.PID != 0 {
		fmt.Printf("\nInside its network:  nsenter -t %d -n -m -p sh\n", s.PID)
		fmt.Printf("A Service from here: %s forward --name %s NAME.NAMESPACE.svc.cluster.local:PORT\n", self, s.Name)
		fmt.Printf("An image into it:    %s load --name %s IMAGE.tar\n", self, s.Name)
	}
	fmt.Printf("Logs:                %s\nEnd it:              %s down --name %s\n", s.Logs, self, s.Name)
	return nil
}

// down ends a cluster and returns when nothing of it is left.
func down(args []string) error {
	o, err := parseName("down", args)
	if err != nil {
		return err
	}
	supervisor, err := state.Owner(o)
	if errors.Is(err, state.ErrNotRunning) {
		fmt.Printf("no cluster %q is running\n", o.Name)
		return nil
	}
	if err != nil {
		return err
	}
	if err := syscall.Kill(supervisor, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("ending process %d: %w", supervisor, err)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if held, err := state.Held(o); err != nil || !held {
			fmt.Printf("cluster %q is gone\n", o.Name)
			return err
		}
	}
	return fmt.Errorf("cluster %q did not end within a minute (process %d)", o.Name, supervisor)
}

// parseName parses the flags of a command about one running cluster.
func parseName(command string, args []string) (*options.Options, error) {
	o, flags, err := namedFlags(command)
	if err != nil {
		return nil, err
	}
	return o, flags.Parse(args)
}

// namedFlags are the flags by which a command finds a running cluster.
func namedFlags(command string) (*options.Options, *flag.FlagSet, error) {
	cache, err := options.DefaultCache()
	if err != nil {
		return nil, nil, err
	}
	o := &options.Options{}
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.StringVar(&o.Name, "name", "dev", "`NAME` of the cluster")
	flags.StringVar(&o.Cache, "cache", cache, "`FOLDER` of programs and clusters")
	return o, flags, nil
}
