package options

import (
	"strings"
	"testing"
)

func TestValidateNamesWhatIsWrong(t *testing.T) {
	good := Options{Name: "dev", Level: Node}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Options){
		"level":          func(o *Options) { o.Level = "NODE" },
		"name":           func(o *Options) { o.Name = "a/../b" },
		"30 characters":  func(o *Options) { o.Name = strings.Repeat("a", 31) },
		"fake nodes":     func(o *Options) { o.FakeNodes = 1001 },
		"need level api": func(o *Options) { o.FakeNodes = 1 },
		"port":           func(o *Options) { o.Port = 70000 },
		"images need":    func(o *Options) { o.Level, o.Images = API, []string{"x.tar"} },
	} {
		bad := good
		change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q: %v", want, err)
		}
	}
}

func TestCacheFollowsTheEnvironment(t *testing.T) {
	t.Setenv("SLIPWAY_CACHE", "/somewhere")
	if dir, err := DefaultCache(); err != nil || dir != "/somewhere" {
		t.Errorf("%s %v", dir, err)
	}
	t.Setenv("SLIPWAY_CACHE", "")
	t.Setenv("HOME", "/home/u")
	if dir, err := DefaultCache(); err != nil || dir != "/home/u/.cache/slipway" {
		t.Errorf("%s %v", dir, err)
	}
}
