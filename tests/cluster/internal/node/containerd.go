package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"slipway.dev/tests/cluster/internal/image"
	"slipway.dev/tests/cluster/internal/options"
	"slipway.dev/tests/cluster/internal/process"
)

// Socket is where containerd listens, inside the cluster's mounts.
const Socket = "/run/containerd/containerd.sock"

// plugins is where Debian puts the CNI plug-ins.
const plugins = "/usr/lib/cni"

// containerdConfig needs the folder of the CNI configuration. Restricting the
// OOM score keeps sandboxes startable for a root that lacks CAP_SYS_RESOURCE.
const containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "` + Socket + `"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + image.Pause + `"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "` + plugins + `"
    conf_dir = %q
`

const cniConfig = `{
  "cniVersion": "0.4.0", "name": "pods",
  "plugins": [
    { "type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "hairpinMode": true,
      "ipam": { "type": "host-local", "dataDir": "/run/cni", "ranges": [[{ "subnet": "` + Pods + `" }]] } },
    { "type": "portmap", "capabilities": { "portMappings": true } }
  ]
}
`

// StartContainerd starts the container runtime and loads the images.
func StartContainerd(ctx context.Context, s *process.Supervisor, o *options.Options, archives []string) error {
	networks := filepath.Join(o.Dir(), "cni")
	config := filepath.Join(o.Dir(), "containerd.toml")
	if err := writeFile(filepath.Join(networks, "10-pods.conflist"), cniConfig); err != nil {
		return err
	}
	if err := writeFile(config, fmt.Sprintf(containerdConfig, networks)); err != nil {
		return err
	}
	if err := s.Start("containerd", "containerd", "--config", config); err != nil {
		return err
	}
	err := process.Until(ctx, "containerd", func(ctx context.Context) error {
		_, err := process.Run(ctx, nil, "ctr", "--address", Socket, "version")
		return err
	})
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if _, err := process.Run(ctx, nil, ImportCommand(archive)...); err != nil {
			return fmt.Errorf("image archive %s: %w", archive, err)
		}
	}
	return nil
}

// ImportCommand loads an image archive for the kubelet, inside the cluster.
func ImportCommand(archive string) []string {
	return []string{"ctr", "--address", Socket, "--namespace", "k8s.io", "images", "import", archive}
}

// writeFile writes a file and the folders above it.
func writeFile(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text), 0o644)
}
