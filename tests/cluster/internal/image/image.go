// Package image makes OCI image archives of one layer from static programs,
// without a daemon. The same input gives the same bytes.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// NonRoot is the user and group that a program runs as unless said otherwise.
const NonRoot = "65532:65532"

// Image is what an archive holds.
type Image struct {
	// Reference is the full name, such as `localhost/slipway-server:dev`.
	Reference string
	// Files maps a path in the image to a file of this machine. A mode is kept,
	// an owner is not: all belongs to root.
	Files map[string]string
	// Links maps a path in the image to what a symbolic link there points at.
	Links map[string]string
	// Entrypoint is the argv head of its containers.
	Entrypoint []string
	// User is `UID:GID`.
	User string
}

// Of is the image of one static program at `/NAME`, run as NonRoot.
func Of(reference, name, program string) Image {
	return Image{
		Reference:  reference,
		Files:      map[string]string{"/" + name: program},
		Entrypoint: []string{"/" + name},
		User:       NonRoot,
	}
}

// WriteFile writes the archive to a file, whole or not at all.
func (i Image) WriteFile(name string) error {
	temporary, err := os.CreateTemp(path.Dir(name), path.Base(name)+".new*")
	if err != nil {
		return fmt.Errorf("image %s: %w", i.Reference, err)
	}
	defer os.Remove(temporary.Name())
	if err := errors.Join(i.Write(temporary), temporary.Chmod(0o644), temporary.Close()); err != nil {
		return fmt.Errorf("image %s: %w", i.Reference, err)
	}
	return os.Rename(temporary.Name(), name)
}

// Write writes the archive: an OCI image layout in a tar, for `ctr images import`.
func (i Image) Write(w io.Writer) error {
	layer, err := i.layer()
	if err != nil {
		return err
	}
	config, err := json.Marshal(i.config(digest(layer)))
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": mediaManifest,
		"config": describe(mediaConfig, config), "layers": []any{describe(mediaLayer, layer)},
	})
	if err != nil {
		return err
	}
	entry := describe(mediaManifest, manifest)
	entry["annotations"] = map[string]string{"io.containerd.image.name": i.Reference}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": mediaIndex, "manifests": []any{entry}})
	if err != nil {
		return err
	}
	return writeLayout(w, index, layer, config, manifest)
}

const (
	mediaIndex    = "application/vnd.oci.image.index.v1+json"
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaConfig   = "application/vnd.oci.image.config.v1+json"
	mediaLayer    = "application/vnd.oci.image.layer.v1.tar"
)

func (i Image) config(layer string) map[string]any {
	return map[string]any{
		"architecture": "amd64", "os": "linux",
		"config": map[string]any{
			"Entrypoint": i.Entrypoint, "User": i.User, "WorkingDir": "/",
			"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layer}},
	}
}

// layer is the tar of the files, in order of their paths.
func (i Image) layer() ([]byte, error) {
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	if err := writeFolders(archive, i.paths()); err != nil {
		return nil, err
	}
	for _, target := range i.paths() {
		var err error
		if source, ok := i.Files[target]; ok {
			err = addFile(archive, target, source)
		} else {
			err = archive.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: inTar(target), Linkname: i.Links[target], Mode: 0o777})
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", target, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// paths lists what the image holds, in order.
func (i Image) paths() []string {
	var all []string
	for target := range i.Files {
		all = append(all, target)
	}
	for target := range i.Links {
		all = append(all, target)
	}
	slices.Sort(all)
	return all
}

// writeFolders adds the folders above all paths, and a /tmp for every user.
func writeFolders(archive *tar.Writer, paths []string) error {
	folders := map[string]int64{"/tmp": 0o1777}
	for _, target := range paths {
		for dir := path.Dir(target); dir != "/" && dir != "."; dir = path.Dir(dir) {
			if _, ok := folders[dir]; !ok {
				folders[dir] = 0o755
			}
		}
	}
	names := make([]string, 0, len(folders))
	for dir := range folders {
		names = append(names, dir)
	}
	slices.Sort(names)
	for _, dir := range names {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: inTar(dir) + "/", Mode: folders[dir]}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
	}
	return nil
}

func addFile(archive *tar.Writer, target, source string) error {
	file, err := os.Open(source)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", source)
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: inTar(target), Size: info.Size(), Mode: int64(info.Mode().Perm())}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}

func inTar(target string) string { return strings.TrimPrefix(path.Clean(target), "/") }

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

func describe(mediaType string, data []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": digest(data), "size": len(data)}
}

// writeLayout writes an OCI image layout: its marker, the index, and the blobs.
func writeLayout(w io.Writer, index []byte, blobs ...[]byte) error {
	archive := tar.NewWriter(w)
	add := func(name string, data []byte) error {
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o644}); err != nil {
			return err
		}
		_, err := archive.Write(data)
		return err
	}
	if err := add("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	if err := add("index.json", index); err != nil {
		return err
	}
	for _, blob := range blobs {
		if err := add("blobs/sha256/"+strings.TrimPrefix(digest(blob), "sha256:"), blob); err != nil {
			return err
		}
	}
	return archive.Close()
}
