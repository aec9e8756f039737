package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func entries(t *testing.T, archive []byte) (map[string][]byte, map[string]*tar.Header) {
	t.Helper()
	contents, headers := map[string][]byte{}, map[string]*tar.Header{}
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return contents, headers
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		contents[header.Name], headers[header.Name] = data, header
	}
}

func sample(t *testing.T) Image {
	t.Helper()
	program := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(program, []byte("#!tool"), 0o750); err != nil {
		t.Fatal(err)
	}
	made := Of("localhost/tool:dev", "tool", program)
	made.Files["/etc/tool/config"] = program
	made.Links = map[string]string{"/bin/t": "../tool"}
	return made
}

func written(t *testing.T, i Image) []byte {
	t.Helper()
	var archive bytes.Buffer
	if err := i.Write(&archive); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func TestEveryBlobIsNamedByItsDigest(t *testing.T) {
	contents, _ := entries(t, written(t, sample(t)))
	blobs := 0
	for name, data := range contents {
		if hex, ok := strings.CutPrefix(name, "blobs/sha256/"); ok {
			blobs++
			if digest(data) != "sha256:"+hex {
				t.Errorf("%s holds %s", name, digest(data))
			}
		}
	}
	if blobs != 3 {
		t.Errorf("%d blobs, want a layer, a configuration and a manifest", blobs)
	}
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(contents["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	entry := index.Manifests[0]
	if entry.Annotations["io.containerd.image.name"] != "localhost/tool:dev" {
		t.Errorf("name %v", entry.Annotations)
	}
	if _, ok := contents["blobs/sha256/"+strings.TrimPrefix(entry.Digest, "sha256:")]; !ok {
		t.Errorf("the index names %s, which is not there", entry.Digest)
	}
}

func TestLayerHasFoldersFilesAndLinks(t *testing.T) {
	layer, err := sample(t).layer()
	if err != nil {
		t.Fatal(err)
	}
	_, headers := entries(t, layer)
	if h := headers["tool"]; h == nil || h.Mode != 0o750 || h.Uid != 0 {
		t.Errorf("program %+v", h)
	}
	if h := headers["bin/t"]; h == nil || h.Typeflag != tar.TypeSymlink || h.Linkname != "../tool" {
		t.Errorf("link %+v", h)
	}
	if h := headers["tmp/"]; h == nil || h.Mode != 0o1777 {
		t.Errorf("/tmp %+v", h)
	}
	if headers["etc/"] == nil || headers["etc/tool/"] == nil {
		t.Errorf("folders above a file are missing")
	}
}

func TestSameInputGivesTheSameBytes(t *testing.T) {
	made := sample(t)
	if !bytes.Equal(written(t, made), written(t, made)) {
		t.Error("two archives of one image differ")
	}
}

func TestMissingOrOddFileIsAnErrorAndLeavesNothing(t *testing.T) {
	folder := t.TempDir()
	for name, source := range map[string]string{"missing": filepath.Join(folder, "none"), "folder": folder} {
		err := Of("localhost/x:dev", "x", source).WriteFile(filepath.Join(folder, "x.tar"))
		if err == nil || !strings.Contains(err.Error(), "localhost/x:dev") {
			t.Errorf("%s: error %v does not name the image", name, err)
		}
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestOnlyProgramsThatCanStartPass(t *testing.T) {
	if err := (Image{}).CheckStarts("/bin/sh"); err == nil || !strings.Contains(err.Error(), "not static") {
		t.Errorf("/bin/sh: %v", err)
	}
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (Image{}).CheckStarts(short); err != nil {
		t.Errorf("a data file: %v", err)
	}
	if err := os.WriteFile(short, []byte("\x7fELFgarbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (Image{}).CheckStarts(short); err == nil {
		t.Error("a broken program passes")
	}
}
