package image

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"slipway.dev/tests/cluster/internal/options"
)

// References of the images that a cluster brings.
const (
	Pause          = "localhost/pause:dev"
	Busybox        = "localhost/busybox:dev"
	Registry       = "localhost/registry:v3.1.2"
	Operator       = "localhost/prometheus-operator:v0.85.0"
	ConfigReloader = "localhost/prometheus-config-reloader:v0.85.0"
	Prometheus     = "localhost/prometheus:v3.16.0"
)

// applets are the commands that the busybox image has as links.
var applets = []string{
	"sh", "base64", "cat", "cp", "date", "dd", "echo", "env", "grep", "head", "httpd", "id", "kill", "ln", "ls", "mkdir", "mv", "nc",
	"nslookup", "ps", "rm", "sed", "seq", "sleep", "stat", "tail", "tar", "test", "touch", "true", "false", "wc", "wget",
}

// Bundled writes the archives of the images that a level needs and returns
// their paths. One that is up to date is kept.
func Bundled(o *options.Options) ([]string, error) {
	images := []Image{Of(Pause, "pause", o.Bin("pause")), busybox(), Of(Registry, "registry", o.Bin("registry"))}
	if o.Level == options.Full {
		images = append(images,
			Of(Operator, "operator", o.Bin("prometheus-operator")),
			// The operator names these paths in the pods that it makes.
			Of(ConfigReloader, "bin/prometheus-config-reloader", o.Bin("prometheus-config-reloader")),
			Of(Prometheus, "bin/prometheus", o.Bin("prometheus")))
	}
	folder := filepath.Join(o.Cache, "images")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("folder of images: %w", err)
	}
	var archives []string
	for _, i := range images {
		archive := filepath.Join(folder, filepath.Base(i.Entrypoint[0])+".tar")
		if err := i.refresh(archive); err != nil {
			return nil, err
		}
		archives = append(archives, archive)
	}
	return archives, nil
}

func busybox() Image {
	i := Image{
		Reference: Busybox, User: NonRoot, Entrypoint: []string{"/bin/sh"},
		Files: map[string]string{"/bin/busybox": "/bin/busybox"}, Links: map[string]string{},
	}
	for _, name := range applets {
		i.Links["/bin/"+name] = "busybox"
	}
	return i
}

// refresh writes the archive unless it is newer than every file in it and than
// this program, which says how it is made.
func (i Image) refresh(archive string) error {
	made, err := os.Stat(archive)
	fresh := err == nil
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("this program: %w", err)
	}
	fresh = fresh && made.ModTime().After(self.ModTime())
	for _, source := range i.Files {
		if err := i.CheckStarts(source); err != nil {
			return err
		}
		info, err := os.Stat(source)
		if err != nil {
			return fmt.Errorf("image %s: %w", i.Reference, err)
		}
		fresh = fresh && made.ModTime().After(info.ModTime())
	}
	if fresh {
		return nil
	}
	return i.WriteFile(archive)
}

// CheckStarts fails for a program that asks for a dynamic loader which the
// image does not hold: it could not start.
func (i Image) CheckStarts(program string) error {
	loader, err := loaderOf(program)
	if err != nil {
		return err
	}
	if _, ok := i.Files[loader]; loader != "" && !ok {
		return fmt.Errorf("%s is not static: it asks for the dynamic loader %s", program, loader)
	}
	return nil
}

// loaderOf is the dynamic loader that a program asks for, empty for static
// programs and for files that are no programs.
func loaderOf(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("program for an image: %w", err)
	}
	defer file.Close()
	magic := make([]byte, len(elf.ELFMAG))
	if n, _ := file.ReadAt(magic, 0); string(magic[:n]) != elf.ELFMAG {
		return "", nil
	}
	program, err := elf.NewFile(file)
	if err != nil {
		return "", fmt.Errorf("program %s: %w", name, err)
	}
	for _, segment := range program.Progs {
		if segment.Type != elf.PT_INTERP {
			continue
		}
		path, err := io.ReadAll(segment.Open())
		if err != nil {
			return "", fmt.Errorf("program %s: %w", name, err)
		}
		return strings.TrimRight(string(path), "\x00"), nil
	}
	return "", nil
}
