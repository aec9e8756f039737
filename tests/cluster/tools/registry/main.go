// Command registry is CNCF Distribution with the storage that a cluster's volume
// offers: the drivers of the clouds bring their SDKs.
package main

import (
	"fmt"
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"             // passwords
	_ "github.com/distribution/distribution/v3/registry/auth/silly"                // no passwords
	_ "github.com/distribution/distribution/v3/registry/auth/token"                // tokens
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // a volume
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"   // memory
)

func main() {
	if err := registry.RootCmd.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
