package isolate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cgroupRoot is where the machine's control groups are mounted.
const cgroupRoot = "/sys/fs/cgroup"

// CgroupName is the control group that holds all pods of a cluster, below each
// root: the kubelet's `cgroupRoot`.
func CgroupName(cluster string) string { return "/slipway-" + cluster }

// MakeCgroups makes the cluster's control group in every hierarchy.
func MakeCgroups(cluster string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		group := filepath.Join(root, CgroupName(cluster))
		if err := os.MkdirAll(group, 0o755); err != nil {
			return fmt.Errorf("control group: %w", err)
		}
		if err := inheritCpuset(root, group); err != nil {
			return err
		}
	}
	return delegate(cluster)
}

// RemoveCgroups removes the cluster's control groups and all below them. The
// processes in them have been killed: it waits for them to be gone.
func RemoveCgroups(cluster string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := removeTree(filepath.Join(root, CgroupName(cluster))); err != nil {
			return err
		}
	}
	return nil
}

// hierarchies lists the mounted hierarchies: one with version 2, one a
// controller with version 1.
func hierarchies() ([]string, error) {
	if unified() {
		return []string{cgroupRoot}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil, fmt.Errorf("control groups: %w", err)
	}
	var roots []string
	for _, entry := range entries {
		// Some names are links to a hierarchy of several controllers.
		if entry.IsDir() {
			roots = append(roots, filepath.Join(cgroupRoot, entry.Name()))
		}
	}
	return roots, nil
}

func unified() bool {
	_, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers"))
	return err == nil
}

// inheritCpuset copies the processors and memory nodes of a version 1 root: a
// new group has none and would take no process.
func inheritCpuset(root, group string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(root, file))
		if errors.Is(err, fs.ErrNotExist) || unified() {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(group, file), value, 0o644)
		}
		if err != nil {
			return fmt.Errorf("control group: %w", err)
		}
	}
	return nil
}

// delegate hands every controller of a version 2 root to the cluster's group.
func delegate(cluster string) error {
	if !unified() {
		return nil
	}
	controllers, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("control groups: %w", err)
	}
	for _, group := range []string{cgroupRoot, filepath.Join(cgroupRoot, CgroupName(cluster))} {
		for _, name := range strings.Fields(string(controllers)) {
			if err := os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte("+"+name), 0o644); err != nil {
				return fmt.Errorf("control group %s: controller %s: %w", group, name, err)
			}
		}
	}
	return nil
}

// removeTree removes a group and those below, the deepest first. A group is
// busy for a moment after its last process was killed.
func removeTree(group string) error {
	var groups []string
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("control group %s: %w", group, err)
	}
	slices.Reverse(groups)
	for _, path := range groups {
		if err := removeGroup(path); err != nil {
			return err
		}
	}
	return nil
}

func removeGroup(path string) error {
	var err error
	for range 100 {
		if err = os.Remove(path); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("control group %s: %w", path, err)
}
