package author

import (
	"strings"
	"testing"
	"time"
)

func TestParseStatus(t *testing.T) {
	const head = "Name:\tip\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4242\nNgid:\t0\nPid:\t4242\nPPid:\t77\n" +
		"TracerPid:\t0\nUid:\t1000\t0\t0\t0\nGid:\t1\t1\t1\t1\nFDSize:\t256\nGroups:\t4 5 6 \n"
	for _, tc := range []struct {
		text string
		want status
		ok   bool
	}{
		{head + "NStgid:\t4242\nNSpid:\t4242\nVmPeak:\t1 kB\n", status{"ip", 4242, 77, 1000, 4242, false}, true},
		{head + "NSpid:\t4242\t30\t1\n", status{"ip", 4242, 77, 1000, 1, true}, true},
		{head, status{"ip", 4242, 77, 1000, 4242, false}, true},
		{strings.Replace(head, "\tip", "\ta\\nTgid:\\\\n b", 1),
			status{"a\nTgid:\\n b", 4242, 77, 1000, 4242, false}, true},
		{strings.Replace(head, "\tip", "\t", 1), status{"", 4242, 77, 1000, 4242, false}, true},
		{"Name:\tip\nTgid:\t4242\n", status{"ip", 4242, 0, 0, 4242, false}, false},
		{"Uid:\t1\n", status{uid: 1}, false},
		{"", status{}, false},
	} {
		if got, ok := parseStatus([]byte(tc.text)); got != tc.want || ok != tc.ok {
			t.Errorf("%q: got %+v, %v", tc.text, got, ok)
		}
	}
}

func TestParseStart(t *testing.T) {
	const rest = " S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %s 4096 5"
	for text, want := range map[string]time.Duration{
		"7 (ip)" + strings.Replace(rest, "%s", "1234", 1):     12_340 * time.Millisecond,
		"7 (a) S 1 (b)" + strings.Replace(rest, "%s", "1", 1): 10 * time.Millisecond,
		"7 (ip)" + strings.Replace(rest, "%s", "x", 1):        -1,
		"7 (ip) S 1 2 3": -1,
		"":               -1,
	} {
		if got, ok := parseStart([]byte(text)); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: got %s, %v", text, got, ok)
		}
	}
}

func TestParseCgroup(t *testing.T) {
	for text, want := range map[string]string{
		"0::/system.slice/frr.service\n": "/system.slice/frr.service",
		"0::/\n":                         "/",
		"0::/\n4:memory:/a\n1:name=systemd:/user.slice/x:y\n": "/user.slice/x:y",
		"9:name=systemd:/init.scope\n0::/\n":                  "/init.scope",
		"4:memory:/a\n1:name=systemd:/b\n0::/c\n":             "/c",
		"4:memory:/a\n":        "",
		"0::/gone (deleted)\n": "/gone (deleted)",
		"":                     "",
		"nothing":              "",
		"2:cpu,cpuacct:/docker/1\n1:name=systemd:/docker/1\n0::/d/e\n": "/d/e",
	} {
		if got := parseCgroup([]byte(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestParseRow(t *testing.T) {
	for _, tc := range []struct {
		line           string
		protocol, port uint32
		inode          string
		ok             bool
	}{
		{"sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode", 0, 0, "", false},
		{"0000000058abf73c 0   4294962743 00000440 0        0     2        0     0   12345   ",
			0, 4294962743, "12345", true},
		{"00000000311eb372 15  7      ffffffff -1 0 0 2 0 1", 15, 7, "1", true},
		{"00000000311eb372 0   7      00000000 0 0 0 2 0", 0, 7, "", false},
		{"00000000311eb372 0   4294967296 00000000 0 0 0 2 0 1", 0, 0, "", false},
		{"", 0, 0, "", false},
		{"x", 0, 0, "", false},
	} {
		r, ok := parseRow([]byte(tc.line))
		if ok != tc.ok || ok && (r.protocol != tc.protocol || r.port != tc.port || string(r.inode) != tc.inode) {
			t.Errorf("%q: got %+v, %v", tc.line, r, ok)
		}
	}
}

func TestLastPID(t *testing.T) {
	for text, want := range map[string]uint32{
		"0.16 0.21 0.10 1/132 5995\n": 5995, "5995": 5995, "": 0, "0.1 x\n": 0, "0.1 ": 0,
	} {
		if got := lastPID([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

func TestCertainty(t *testing.T) {
	for c := Unknown; c <= Kernel; c++ {
		if got, ok := ParseCertainty(c.String()); got != c || !ok {
			t.Errorf("%s: got %s, %v", c, got, ok)
		}
	}
	if got, ok := ParseCertainty("sure"); ok {
		t.Errorf("got %s", got)
	}
}

// FuzzParse has text of any kind where that of the kernel is expected.
func FuzzParse(f *testing.F) {
	f.Add([]byte("Name:\tip\nTgid:\t7\nPPid:\t1\nUid:\t0\t0\nNSpid:\t7\t1\n"))
	f.Add([]byte("0::/a\n1:name=systemd:/b\n"))
	f.Add([]byte("00000000311eb372 0   7      00000000 0 0 0 2 0 1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, ok := parseStatus(text); ok && s.tgid == 0 {
			t.Errorf("got %+v", s)
		}
		if r, ok := parseRow(text); ok && len(r.inode) == 0 {
			t.Errorf("got %+v", r)
		}
		if path := parseCgroup(text); strings.Contains(path, "\n") {
			t.Errorf("got %q", path)
		}
		lastPID(text)
		parseStart(text)
	})
}
