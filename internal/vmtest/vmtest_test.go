//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// entries reads an archive, as Linux does: names, and after a blank the mode in octal, and the contents.
func entries(t *testing.T, b []byte) (all []string) {
	t.Helper()
	for len(b) > 110 && string(b[:6]) == "070701" {
		field := func(i int) int {
			n, err := strconv.ParseInt(string(b[6+8*i:14+8*i]), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		size, length := field(6), field(11)
		up := func(n int) int { return (n + 3) / 4 * 4 }
		name, from := string(b[110:110+length-1]), up(110+length)
		all = append(all, name+" "+strconv.FormatInt(int64(field(1)), 8)+" "+string(b[from:from+size]))
		if name == "TRAILER!!!" {
			return append(all, string(b[min(len(b), up(from+size)):]))
		}
		b = b[up(from+size):]
	}
	t.Fatalf("no archive goes on with %.110q", b)
	return nil
}

func TestArchive(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "program"), []byte("run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("program", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	a := newArchive(&out)
	a.symlink("bin", "usr/bin")
	a.file("usr/bin/p", filepath.Join(dir, "program"))
	a.file("usr/bin/l", filepath.Join(dir, "link"))
	a.text("usr/text", "12345", 0o600)
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	want := []string{"bin 120777 usr/bin", "usr 40755 ", "usr/bin 40755 ", "usr/bin/p 100755 run",
		"usr/bin/l 120777 program", "usr/text 100600 12345", "TRAILER!!! 0 ", ""}
	if got := entries(t, out.Bytes()); !slices.Equal(got, want) || out.Len()%4 != 0 {
		t.Errorf("%d bytes, got %q, want %q", out.Len(), got, want)
	}
	a = newArchive(&out)
	a.file("gone", filepath.Join(dir, "gone"))
	if err := a.close(); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestPack packs packages as those of older and newer Debian have them.
func TestPack(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"bin/ip", "usr/bin/ls", "usr/share/doc/ip/copyright", "boot/config",
		"lib/modules/6.1/kernel/net/mpls/mpls_router.ko", "lib/modules/6.1/kernel/drivers/net/veth.ko",
		"lib/modules/6.1/kernel/drivers/net/vxlan/vxlan.ko", "lib/modules/6.1/kernel/drivers/gpu/x.ko",
		"lib/modules/6.1/kernel/drivers/net/wireguard/wireguard.ko", "lib/modules/6.1/modules.order",
		"usr/lib/modules/7.2/kernel/drivers/net/geneve.ko.xz", "usr/lib/modules/7.2/kernel/net/ipv6/ila/ila.ko.xz"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("usr/sbin", filepath.Join(root, "sbin")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "root.cpio")
	if err := pack(file, root); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries(t, text) {
		name, _, _ := strings.Cut(e, " ")
		if strings.HasSuffix(e, " 100644 ") && !strings.HasPrefix(name, "etc/") {
			got = append(got, name)
		}
	}
	want := []string{"usr/bin/ip", "usr/bin/ls", "usr/lib/modules/6.1/kernel/drivers/net/veth.ko",
		"usr/lib/modules/6.1/kernel/drivers/net/wireguard/wireguard.ko",
		"usr/lib/modules/6.1/kernel/net/mpls/mpls_router.ko", "usr/lib/modules/6.1/modules.order",
		"usr/lib/modules/7.2/kernel/net/ipv6/ila/ila.ko.xz"}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if !slices.ContainsFunc(entries(t, text), func(e string) bool { return e == "sbin 120777 usr/sbin" }) {
		t.Error("sbin is no link")
	}
}

// testOutput is what a test binary prints with -test.v=test2json.
const testOutput = "\x16=== RUN   TestGood\n\x16--- PASS: TestGood (0.00s)\n\x16=== NAME  \n" +
	"\x16=== RUN   TestSub\n\x16=== RUN   TestSub/a\n    x_test.go:4: this kernel, or its ip, lacks b: no b\n" +
	"\x16--- SKIP: TestSub/a (0.00s)\n\x16=== NAME  TestSub\n\x16--- PASS: TestSub (0.00s)\n\x16=== NAME  \n" +
	"\x16=== RUN   TestBad\n    x_test.go:9: why\n\x16--- FAIL: TestBad (0.00s)\n\x16=== NAME  \n"

// TestOutcome makes results of what a guest reports.
func TestOutcome(t *testing.T) {
	const pkg = "kernelroutes/tables"
	plan := &tests{plan: plan{Tests: []planned{{Package: pkg}, {Package: "kernelroutes/rtnl"}}}}
	reports := []report{{Kernel: "6.1.0-50-amd64", Version: "#1 SMP Debian 6.1.176-1 (2026-07-02)"},
		{Package: pkg, Output: []byte(testOutput[:100])}, {Package: pkg, Output: []byte(testOutput[100:])},
		{Package: pkg, Ended: true, Status: "exit status 1"},
		{Package: "kernelroutes/rtnl", Output: []byte("\x16=== RUN   TestHangs\n")}}
	o := outcome{kernel: kernels[1], arch: archs[0]}
	if err := o.read(plan, reports); err != nil {
		t.Fatal(err)
	}
	r := o.packages[0]
	if !slices.Equal(r.passed, []string{"TestGood", "TestSub"}) || !slices.Equal(r.failed, []string{"TestBad"}) ||
		!slices.Equal(r.skipped, []string{"TestSub/a"}) || r.unfinished != "" || !r.bad() {
		t.Errorf("%+v", r)
	}
	if r := o.packages[1]; !r.bad() || r.ended || r.unfinished != "TestHangs" {
		t.Errorf("what did not end: %+v", r)
	}
	var out bytes.Buffer
	if !table(&out, []outcome{o}) {
		t.Error("nothing failed")
	}
	for _, want := range []string{"Linux 6.1.0-50-amd64 (bookworm, amd64)", "passed   2, failed  1, skipped  1",
		"lacks b: no b", "x_test.go:9: why", "kernelroutes/rtnl has not ended"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	good := outcome{packages: []result{{ended: true, passed: []string{"TestA"}}}}
	if table(&out, []outcome{good}) || !table(&out, []outcome{{}}) {
		t.Error("only what ran without a failure is good")
	}
}

// TestSave keeps what became of the tests of features, and of those that did not run what became of them before.
func TestSave(t *testing.T) {
	file := filepath.Join(t.TempDir(), "testdata", "results.json")
	o := outcome{kernel: kernels[1], arch: archs[0], release: "6.1.0-50-amd64", version: "#1 SMP Debian 6.1.176-1"}
	run := func(r result) map[string]string {
		t.Helper()
		r.pkg = "kernelroutes/tables"
		o.packages = []result{r}
		if err := save(file, o); err != nil {
			t.Fatal(err)
		}
		all, err := load(file)
		if err != nil || len(all) != 1 || all[0].Kernel != "6.1.176" || all[0].Host != "Debian bookworm" {
			t.Fatalf("%+v, %v", all, err)
		}
		return all[0].Tests
	}
	run(result{passed: []string{"TestLive", "TestNoFeature", "TestTunnels"}, skipped: []string{"TestTunnels/ila"},
		output: map[string]string{"TestTunnels/ila": "=== RUN\n    a_test.go:3: no ila\n"}})
	got := run(result{failed: []string{"TestLive"}, unfinished: "TestMPLS"})
	want := map[string]string{"tables.TestLive": failed, "tables.TestTunnels": passed, "tables.TestMPLS": unended,
		"tables.TestTunnels/ila": skipped + "no ila"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got = run(result{passed: []string{"TestTunnels"}})
	if delete(want, "tables.TestTunnels/ila"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVersion(t *testing.T) {
	for _, c := range [][3]string{{"6.1.0-50-amd64", "#1 SMP Debian 6.1.176-1 (2026)", "6.1.176"},
		{"6.18.4-generic", "#1 SMP", "6.18.4"}, {"7.2.13+deb14-amd64", "#1 Debian 7.2.13-1", "7.2.13"}} {
		if got := versionOf(c[0], c[1]); got != c[2] {
			t.Errorf("%q: %q", c, got)
		}
	}
	if versionKey("5.10.1") > versionKey("6.1.0") || versionKey("6.1.9") > versionKey("6.12.1") {
		t.Error("versions do not sort as numbers")
	}
}

// TestParse: what a flag cannot mean is an error.
func TestParse(t *testing.T) {
	for _, args := range [][]string{{"-kernels", "2.6"}, {"-arch", "vax"}, {"6.1"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	j, err := parse([]string{"-kernels", "6.1,newest", "-features"})
	if err != nil || len(j.kernels) != 2 || j.kernels[1].suite != "sid" ||
		!slices.Contains(j.packages, "./rtnl/author") {
		t.Errorf("%+v, %v", j, err)
	}
}
