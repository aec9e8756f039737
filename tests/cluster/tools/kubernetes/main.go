// Command kube is every Kubernetes component and etcd in one static binary.
//
// It runs the component that it is called as: by the base name of its path (a
// symbolic link) or by its first argument. It adds nothing to the components.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics of the components
	_ "k8s.io/component-base/metrics/prometheus/version"  // version metrics of the components
	kubectl "k8s.io/kubectl/pkg/cmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// components maps a component's name to the constructor of its command.
var components = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
}

func main() {
	name, args := component(os.Args)
	os.Args = args
	switch {
	case name == "etcd":
		etcdmain.Main(args)
	case name == "kubelet":
		os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background())))
	case name == "kubectl":
		runKubectl()
	case components[name] != nil:
		os.Exit(cli.Run(components[name]()))
	default:
		fmt.Fprintf(os.Stderr, "unknown component %q: want one of %v\n", name, names())
		os.Exit(2)
	}
}

// runKubectl runs kubectl as its own main does: it prints its errors itself.
func runKubectl() {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		cmdutil.CheckErr(err)
	}
}

// component tells which component argv asks for and the argv that it shall see.
func component(argv []string) (string, []string) {
	name := filepath.Base(argv[0])
	if known(name) || len(argv) < 2 {
		return name, argv
	}
	return argv[1], argv[1:]
}

func known(name string) bool {
	return slices.Contains(names(), name)
}

func names() []string {
	all := []string{"etcd", "kubectl", "kubelet"}
	for name := range components {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
