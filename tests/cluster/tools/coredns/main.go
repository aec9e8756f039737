// Command coredns is CoreDNS with the plug-ins that a cluster's DNS uses: the
// others bring the SDKs of several clouds.
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"        // the address to listen on
	_ "github.com/coredns/coredns/plugin/cache"       // answers kept for seconds
	_ "github.com/coredns/coredns/plugin/errors"      // errors in the log
	_ "github.com/coredns/coredns/plugin/kubernetes"  // Services and pods by name
	_ "github.com/coredns/coredns/plugin/loadbalance" // endpoints in changing order
)

func main() { coremain.Run() }
