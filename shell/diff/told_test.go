package diff

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// A lesser source tells less than another one.
type lesser struct {
	tables.Source
	lacks   *object.Kind // nil: nothing
	lessen  func(*rtnl.Snapshot)
	unnamed bool // no number has a name
}

func (l *lesser) Names() *iproute2.Names {
	if l.unnamed {
		return iproute2.NoNames()
	}
	return l.Source.Names()
}

func (l *lesser) Read(ctx context.Context, req rtnl.Request) (*rtnl.Snapshot, error) {
	all, err := l.Source.Read(ctx, req)
	if err != nil {
		return nil, err
	}
	if slices.Contains(req.Kinds, l.lacks) {
		return nil, &capture.Error{Why: "the recording has no " + l.lacks.Plural, Remedy: "make another"}
	}
	runs := map[*object.Kind][]object.Run{}
	for _, k := range object.Kinds {
		if k != l.lacks {
			runs[k] = all.Runs(k)
		}
	}
	s := rtnl.NewSnapshot(all.Consistent, runs)
	s.Sysctls = all.Sysctls
	if l.lessen != nil {
		l.lessen(s)
	}
	return s, nil
}

// TestNotTold: what one state does not tell has not changed, and that is said.
func TestNotTold(t *testing.T) {
	hosts(t, "v0")
	routing(t)
	whole := taken(t, "whole")
	for name, test := range map[string]struct {
		other *lesser
		warns string
	}{
		"settings": {&lesser{lessen: func(s *rtnl.Snapshot) { s.Sysctls = nil }}, "the other does not tell "},
		"names":    {&lesser{unnamed: true}, ""},
		"consistent": {&lesser{lessen: func(s *rtnl.Snapshot) { s.Consistent = false }},
			"it changed while it was read"},
	} {
		test.other.Source = whole.Source
		other := State{Source: test.other, Name: "the other"}
		for _, pair := range [][2]State{{whole, other}, {other, whole}} {
			lines, warnings := printed(t, pair[0], pair[1], Options{})
			if !slices.Equal(lines, []string{"no differences"}) {
				t.Errorf("%s: %q", name, lines)
			}
			all := strings.Join(warnings, "\n")
			if !strings.Contains(all, test.warns) || (all == "") != (test.warns == "") {
				t.Errorf("%s: warned of %q", name, all)
			}
		}
	}
}

// TestLacking: kinds that a recording has not are left out; without interfaces routes are compared
// without them.
func TestLacking(t *testing.T) {
	hosts(t, "v0")
	routing(t)
	whole := taken(t, "whole")
	for kind, want := range map[*object.Kind]string{
		object.Links.Kind: "kernel_routes: the other has no interfaces: dev cannot be compared",
		object.Rules.Kind: "",
	} {
		var warnings []string
		d := &differ{ctx: t.Context(), names: whole.Names(),
			warn: func(text string) { warnings = append(warnings, text) }}
		a := &state{State: whole, consistent: true}
		b := &state{State: State{Source: &lesser{Source: whole.Source, lacks: kind}, Name: "the other"},
			consistent: true} // as a capture is held
		lacked := 0
		for _, x := range things {
			all, err := d.compare(x, a, b)
			switch {
			case isLacking(err):
				lacked++
				if !strings.HasPrefix(err.Error(), "the other: the recording has no ") {
					t.Errorf("%s: %v", x.Name, err)
				}
			case err != nil || len(all) > 0:
				t.Errorf("without %s: %s: %v, %v", kind.Plural, x.Name, all, err)
			}
		}
		if lacked != 1 || want != "" && !slices.Contains(warnings, want) {
			t.Errorf("without %s: %d are lacking, warned of %q", kind.Plural, lacked, warnings)
		}
	}
	none := State{Source: &lesser{Source: whole.Source, lacks: object.Routes.Kind}, Name: "the other"}
	err := Print(t.Context(), &bytes.Buffer{}, whole, none, Options{Warn: func(string) {}})
	if !errors.Is(err, capture.ErrCapture) {
		t.Errorf("without routes: %v", err)
	}
}

// TestOwnNames: what has vanished has the names that it had where it was.
func TestOwnNames(t *testing.T) {
	hosts(t, "v0")
	routing(t)
	was := taken(t, "was")
	was.Source = &lesser{Source: was.Source, unnamed: true}
	nstest.IP(t, "route del 9.0.0.0/8")
	nstest.IP(t, "route change 10.1.0.0/16 via 10.0.0.9 proto static")
	want := []string{
		"vanished route ipv4 254 9.0.0.0/8 via 10.0.0.2 dev v0 proto 3",
		"changed route ipv4 main 10.1.0.0/16 via 10.0.0.9 dev v0 proto static, was via 10.0.0.2",
		"0 appeared, 1 vanished, 1 changed",
	}
	if lines, _ := printed(t, was, live(t), Options{}); !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	for _, x := range differences(t, was, live(t)) {
		if x.Was["table_name"] != "254" || len(x.Now) > 0 && (x.Now["table_name"] != "main" ||
			!slices.Equal(x.Columns, []string{"gateway", "nexthops"})) {
			t.Errorf("%+v", x)
		}
	}
}

// TestSuspects: a kernel does not tell what came with a later one.
func TestSuspects(t *testing.T) {
	rules := things[0]
	protocol := rules.place("protocol")
	for kernel, want := range map[string]bool{"4.9.0-19-amd64": true, "4.17.0": false, "6.18.44": false, "": false} {
		if got := slices.Contains(rules.suspects(&state{State: State{Kernel: kernel}}), protocol); got != want {
			t.Errorf("%q: %v", kernel, got)
		}
	}
}
