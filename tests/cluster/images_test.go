package main

import (
	"strings"
	"testing"
)

func TestImageArgumentsAreRead(t *testing.T) {
	made, name, err := parseImage("registry.example/team/tool:2=/bin/busybox,/etc/hosts:/etc/tool/hosts")
	if err != nil {
		t.Fatal(err)
	}
	if name != "tool" || made.Reference != "registry.example/team/tool:2" || made.Entrypoint[0] != "/tool" || made.User != "65532:65532" {
		t.Errorf("%s: %+v", name, made)
	}
	if made.Files["/tool"] != "/bin/busybox" || made.Files["/etc/tool/hosts"] != "/etc/hosts" {
		t.Errorf("files %v", made.Files)
	}
	if made, _, err := parseImage("tool=/bin/busybox"); err != nil || made.Reference != "localhost/tool:dev" {
		t.Errorf("%+v %v", made, err)
	}
}

func TestDynamicProgramNeedsItsLoader(t *testing.T) {
	const loader = "/lib64/ld-linux-x86-64.so.2"
	if made, _, err := parseImage("tool=/bin/sh," + loader + ":" + loader); err != nil || made.Files[loader] != loader {
		t.Errorf("%+v %v", made, err)
	}
	if _, _, err := parseImage("tool=/bin/sh"); err == nil || !strings.Contains(err.Error(), loader) {
		t.Errorf("want an error with %s: %v", loader, err)
	}
}

func TestOddImageArgumentsAreRefused(t *testing.T) {
	for arg, want := range map[string]string{
		"tool":                          "want NAME=PROGRAM",
		"=prog":                         "want NAME=PROGRAM",
		"tool=":                         "want NAME=PROGRAM",
		"tool=/no/such":                 "no such file",
		"tool=/bin/sh":                  "not static",
		"tool=/bin/busybox,/etc/hosts":  "want FILE:/PATH",
		"tool=/bin/busybox,/etc/h:rel/": "want FILE:/PATH",
	} {
		if _, _, err := parseImage(arg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q: %v", arg, want, err)
		}
	}
}
