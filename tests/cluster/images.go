package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"slipway.dev/tests/cluster/internal/image"
)

const imageHelp = `image [FLAGS] NAME[:TAG]=PROGRAM[,FILE:PATH]...
makes FOLDER/NAME.tar for each: the static PROGRAM at /NAME, the entry point, run as user 65532;
each further FILE lies at PATH. A PROGRAM that is not static needs its loader and libraries among them. A NAME without a host is localhost/NAME, without a tag NAME:dev.`

// certificates is where a machine's authorities lie, and where programs look for them.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

// makeImages makes one archive an argument.
func makeImages(args []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	folder := flags.String("out", ".", "`FOLDER` of the archives")
	authorities := flags.Bool("ca-certificates", false, "add this machine's certificate authorities")
	flags.Usage = usageOf(flags, imageHelp)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("image: nothing to make")
	}
	for _, arg := range flags.Args() {
		made, name, err := parseImage(arg)
		if err != nil {
			return err
		}
		if *authorities {
			made.Files[certificates] = certificates
		}
		archive := filepath.Join(*folder, name+".tar")
		if err := made.WriteFile(archive); err != nil {
			return err
		}
		fmt.Println(archive, made.Reference)
	}
	return nil
}

// parseImage reads NAME[:TAG]=PROGRAM[,FILE:PATH]... and returns the image and
// its short name.
func parseImage(arg string) (image.Image, string, error) {
	reference, rest, ok := strings.Cut(arg, "=")
	files := strings.Split(rest, ",")
	if !ok || reference == "" || files[0] == "" {
		return image.Image{}, "", fmt.Errorf("image %q: want NAME=PROGRAM", arg)
	}
	if !strings.Contains(reference, "/") {
		reference = "localhost/" + reference
	}
	name, _, tagged := strings.Cut(path.Base(reference), ":")
	if !tagged {
		reference += ":dev"
	}
	made := image.Of(reference, name, files[0])
	for _, file := range files[1:] {
		source, target, ok := strings.Cut(file, ":")
		if !ok || !path.IsAbs(target) {
			return image.Image{}, "", fmt.Errorf("image %s: file %q: want FILE:/PATH", name, file)
		}
		made.Files[target] = source
	}
	if err := made.CheckStarts(files[0]); err != nil {
		return image.Image{}, "", err
	}
	return made, name, nil
}

// usageOf is the help of a subcommand: its synopsis and its flags.
func usageOf(flags *flag.FlagSet, synopsis string) func() {
	return func() {
		fmt.Fprintf(os.Stderr, "usage: slipway-cluster %s\n", synopsis)
		flags.PrintDefaults()
	}
}
