package capture

import (
	"bufio"
	"bytes"
	"maps"
	"strings"
	"testing"

	. "kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// TestCaptureSysctls: a capture has the settings of all and default, and answers with them as
// the kernel did.
func TestCaptureSysctls(t *testing.T) {
	nstest.New(t)
	nstest.Sysctl(t, "net.ipv4.conf.all.rp_filter", "2")
	nstest.Sysctl(t, "net.ipv6.conf.default.router_solicitations", "-1")
	req := rtnl.Request{Kinds: []*object.Kind{object.Links.Kind}, Along: []*object.Kind{object.Netconfs.Kind}}
	live, err := new(rtnl.Kernel).Read(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Write(t.Context(), new(rtnl.Kernel), &b); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"stable_secret"} {
		if strings.Contains(b.String(), secret) {
			t.Errorf("%s is in it", secret)
		}
	}
	s, err := readTest(t, b.Bytes()).Read(t.Context(), req)
	if err != nil || !maps.Equal(s.Sysctls, live.Sysctls) || s.Sysctls["net.ipv4.conf.all.rp_filter"] != "2" ||
		s.Sysctls["net.ipv6.conf.default.router_solicitations"] != "-1" ||
		s.Count(object.Netconfs.Kind) != live.Count(object.Netconfs.Kind) {
		t.Errorf("%v: got %v, want %v", err, s.Sysctls, live.Sysctls)
	}
}

// TestSysctlText: settings without a value are damage, and none at all are none.
func TestSysctlText(t *testing.T) {
	of := func(text string) []byte {
		var b bytes.Buffer
		c := captureWriter{w: bufio.NewWriter(&b)}
		c.begin(recordedAt)
		c.text((&Host{Time: recordedAt}).appendText(nil, snapshotFormat))
		if text != "" {
			c.text([]byte(text))
		}
		c.packet(MessageOf(object.RTM_NEWLINK, wire.NLM_F_MULTI, 1, AppendLink(nil, &object.Link{Index: 1,
			Name: "lo"})))
		c.n++
		c.end(true)
		if err := c.w.Flush(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for text, want := range map[string]rtnl.Sysctls{
		"":                          nil,
		"sysctl\n":                  nil,
		"sysctl\na.b = 1\nc = x = ": {"a.b": "1", "c": "x = "},
		"sysctls\nnonsense":         nil, // which is another text
	} {
		c, err := Read(bytes.NewReader(of(text)))
		if err != nil || !maps.Equal(c.snapshot.Sysctls, want) {
			t.Errorf("%q: %v, %v", text, err, c)
		}
	}
	_, err := Read(bytes.NewReader(of("sysctl\nnonsense\n")))
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Error(err)
	}
}
