package isolate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tunables are what the kubelet sets for the whole machine, and the values that
// it wants. They are covered by files with those values: it then writes none.
var tunables = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// Mounts prepares the mount namespace of a node whose files lie in dir: its own
// /proc and /run, `dir/var-lib` at /var/lib, `dir/var-log` at /var/log, and
// memory for etcd. Nothing of it is seen outside.
func Mounts(dir string) error {
	if strings.HasPrefix(dir, "/run/") || strings.HasPrefix(dir, "/var/lib/") || strings.HasPrefix(dir, "/var/log/") {
		return fmt.Errorf("the cache %s lies where the node has its own folders: set SLIPWAY_CACHE elsewhere", dir)
	}
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE); err != nil {
		return err
	}
	if err := mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC); err != nil {
		return err
	}
	if err := mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV); err != nil {
		return err
	}
	for from, to := range map[string]string{"var-lib": "/var/lib", "var-log": "/var/log"} {
		if err := bind(filepath.Join(dir, from), to); err != nil {
			return err
		}
	}
	etcd := filepath.Join(dir, "etcd")
	if err := os.MkdirAll(etcd, 0o700); err != nil {
		return fmt.Errorf("folder of etcd: %w", err)
	}
	if err := mount("tmpfs", etcd, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV); err != nil {
		return err
	}
	return coverTunables()
}

func coverTunables() error {
	for name, value := range tunables {
		target := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(target); err != nil {
			continue
		}
		source := filepath.Join("/run/tunables", strings.ReplaceAll(name, "/", "."))
		if err := os.MkdirAll(filepath.Dir(source), 0o755); err != nil {
			return fmt.Errorf("kernel setting %s: %w", name, err)
		}
		if err := os.WriteFile(source, []byte(value+"\n"), 0o644); err != nil {
			return fmt.Errorf("kernel setting %s: %w", name, err)
		}
		if err := mount(source, target, "", unix.MS_BIND); err != nil {
			return err
		}
	}
	return nil
}

func bind(source, target string) error {
	if err := os.MkdirAll(source, 0o755); err != nil {
		return fmt.Errorf("folder for %s: %w", target, err)
	}
	return mount(source, target, "", unix.MS_BIND)
}

func mount(source, target, kind string, flags uintptr) error {
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", target, err)
	}
	return nil
}
