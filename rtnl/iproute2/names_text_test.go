package iproute2_test

import (
	"slices"
	"testing"

	"kernelroutes/internal/nametest"
	"kernelroutes/rtnl/iproute2"
)

// TestNamesLinesBack: the lines of names give the names back.
func TestNamesLinesBack(t *testing.T) {
	if !nametest.New(nil).Equal(iproute2.Builtin()) {
		t.Error("package nametest has other names than those compiled in")
	}
	names := nametest.New(map[string]string{
		"rt_tables": "1000 last\n254 zz\n254 main\n254 inet\n254 main\n4294967295 a\\xffb\n70000 blue#1\n",
		"rt_protos": "7 seven\n256 none\n", "rt_realms": "254 inet\n"})
	back := iproute2.NoNames()
	for i, f := range back.Files() {
		of := names.Files()[i]
		if f.File != of.File {
			t.Errorf("%s in place of %s", f.File, of.File)
		}
		if err := f.ReadLines(of.AppendLines(nil)); err != nil {
			t.Error(err)
		}
	}
	if !back.Equal(names) || back.Table(254) != "main" || back.Table(1<<32-1) != `a\xffb` ||
		back.Protocol(0) != "unspec" {
		t.Errorf("got %v", back)
	}
	if got := back.Tables().IDs("inet"); !slices.Equal(got, []uint32{254}) {
		t.Errorf("inet is %v", got)
	}
	// The last one of a number's names is the one that is shown.
	several := iproute2.NoNames().Tables()
	if err := several.ReadLines([]byte("1000 last\n254 zz\n254 main\n254 inet\n254 main\n")); err != nil {
		t.Error(err)
	}
	if got, want := string(several.AppendLines([]byte("x"))), "x254 inet\n254 zz\n254 main\n1000 last\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, wrong := range []string{"\n", "1\n", "1 \n", " 1 a\n", "x a\n", "4294967296 a\n", "-1 a\n", "1 a\n\n"} {
		if err := several.ReadLines([]byte(wrong)); err == nil {
			t.Errorf("%q is read", wrong)
		}
	}
}
