package command

import (
	"bytes"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestExtensionFlags: whatever osquery passes, the extension starts.
func TestExtensionFlags(t *testing.T) {
	for _, test := range []struct {
		args     string
		want     extensionFlags
		warnings string
	}{
		{"--socket|/s|--timeout|7|--interval|9", extensionFlags{"/s", 7, 9, false}, ""},
		{"--verbose|--socket|/s", extensionFlags{"/s", 3, 3, true}, ""},
		{"--socket=/s=1|--timeout=0|--verbose=true", extensionFlags{"/s=1", 0, 3, true}, ""},
		{"-verbose|-socket|/s|-interval=4", extensionFlags{"/s", 3, 4, true}, ""},
		{"--socket|/s|--frob|x|--verbose", extensionFlags{"/s", 3, 3, true}, "the unknown flag --frob"},
		{"--frob=x|--socket|/s", extensionFlags{"/s", 3, 3, false}, "the unknown flag --frob=x"},
		{"--frob|--socket|/s|x", extensionFlags{"/s", 3, 3, false}, "the unknown flag --frob,the argument \"x\""},
		{"--socket|/s|--timeout|x|--interval=1", extensionFlags{"/s", 3, 1, false},
			"--timeout=x: give a whole number of seconds\n"},
		{"--socket|/s|--interval|3s|--verbose=maybe", extensionFlags{"/s", 3, 3, false},
			"--interval=3s: give a whole number of seconds\n,--verbose=maybe: give --verbose or --verbose=false\n"},
	} {
		args := strings.Split(test.args, "|")
		if !startedByOsquery(args) {
			t.Errorf("%s: not taken for osquery's", test.args)
		}
		var said strings.Builder
		stderr = &said
		var got extensionFlags
		err := got.parse(rootCommand(&got).Flags(), args)
		stderr = os.Stderr
		if err != nil || got != test.want {
			t.Errorf("%s: %+v, %v", test.args, got, err)
		}
		lines := slices.Collect(strings.Lines(said.String()))
		wants := strings.FieldsFunc(test.warnings, func(r rune) bool { return r == ',' })
		if len(lines) != len(wants) {
			t.Errorf("%s: warnings %q, want %q", test.args, lines, wants)
			continue
		}
		for i, want := range wants {
			if !strings.Contains(lines[i], "warning: ignoring "+want) {
				t.Errorf("%s: warning %q, want %q", test.args, lines[i], want)
			}
		}
	}
	for _, args := range []string{"", "query|--socket|x", "--version", "--help|-x", "--sockets|x"} {
		if startedByOsquery(strings.Split(args, "|")) {
			t.Errorf("%s: taken for osquery's", args)
		}
	}
}

func TestMaxResponse(t *testing.T) {
	for value, want := range map[string]int64{"150": 150 << 20, "0": -1, "1": 1 << 20, "1000000": 1000000 << 20,
		"": 0, "-1": 0, "1e3": 0, "junk": 0, "99999999999999999999": 0} {
		t.Setenv("KERNEL_ROUTES_MAX_RESPONSE_MB", value)
		var log bytes.Buffer
		if got := maxResponse(slog.New(slog.NewTextHandler(&log, nil))); got != want {
			t.Errorf("%q: %d, want %d", value, got, want)
		}
		if junk := want == 0; junk != (log.Len() > 0) {
			t.Errorf("%q: logged %q", value, &log)
		}
	}
	os.Unsetenv("KERNEL_ROUTES_MAX_RESPONSE_MB")
	if got := maxResponse(slog.New(slog.DiscardHandler)); got != 0 {
		t.Errorf("not set: %d", got)
	}
}
