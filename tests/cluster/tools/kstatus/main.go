// Command kstatus says what the status of Kubernetes objects means to tools that wait for them (Argo CD, Flux, kpt).
//
// It reads objects as JSON, one a line, and prints one word a line: InProgress, Failed, Current, Terminating, NotFound
// or Unknown, as sigs.k8s.io/cli-utils computes it.
package main

import (
	"bufio"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

const longestLine = 4 << 20

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		object := &unstructured.Unstructured{}
		// UnmarshalJSON keeps integers as integers, which kstatus insists on.
		if err := object.UnmarshalJSON(lines.Bytes()); err != nil {
			return fmt.Errorf("not an object: %w", err)
		}
		result, err := status.Compute(object)
		if err != nil {
			return fmt.Errorf("%s: %w", object.GetName(), err)
		}
		fmt.Println(result.Status)
	}
	return lines.Err()
}
