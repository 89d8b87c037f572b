package survival

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// maxMemory is what the process may have had at the most when only its peers misbehave.
const maxMemory = 64 << 20

// small fails the test if the process has had too much memory.
func small(t *testing.T, x *exttest.Process) {
	t.Helper()
	peak := x.Size(t, "VmHWM")
	t.Logf("peak %d MiB", peak>>20)
	if peak > maxMemory {
		t.Errorf("it has had %d MiB of memory", peak>>20)
	}
}

// generate is a request with any context.
func generate(context string) map[string]string {
	return map[string]string{"action": "generate", "context": context}
}

// equals is a context with one constraint, of a name and a value that JSON allows.
func equals(column, value string) string {
	return fmt.Sprintf(`{"constraints":[{"name":"%s","list":[{"op":2,"expr":"%s"}],"affinity":"TEXT"}],`+
		`"colsUsed":["dst"]}`, column, value)
}

// TestStrangeRequests has calls that osquery does not make. Each is answered: with all that ip shows, for what
// is not understood does not narrow; with a message; or, where nothing is like this, with no rows.
func TestStrangeRequests(t *testing.T) {
	t.Parallel()
	newHost(t)
	x := exttest.Start(t)
	all := len(shownByIP(t))
	const none = 0
	for name, tc := range map[string]struct {
		table   string
		request map[string]string
		rows    int
		message string // of a refusal
	}{
		"context of 10 MB": {"kernel_routes", generate(equals("dst", strings.Repeat("x", 10<<20))), none,
			"a request of more than 8388608 bytes: ask for fewer values in IN"},
		"values of 7 MB": {"kernel_routes", generate(`{"constraints":[{"name":"dst","list":[` +
			strings.Repeat(`{"op":2,"expr":"x"},`, 7<<20/20) + `{"op":2,"expr":"y"}]}],"colsUsed":["dst"]}`), none, ""},
		"commas":           {"kernel_routes", generate(strings.Repeat(",", 2<<20)), none, "more than 1048576 values"},
		"broken JSON":      {"kernel_routes", generate(`{"constraints":[`), none, "osquery's request cannot be read"},
		"no JSON":          {"kernel_routes", generate("\x00\xff<xml>"), none, "osquery's request cannot be read"},
		"JSON of no shape": {"kernel_routes", generate(`[1, null, "x"]`), none, "osquery's request cannot be read"},
		"long number": {"kernel_routes", generate(`{"constraints":[{"name":` + strings.Repeat("7", 1<<20) + `}]}`),
			none, "osquery's request cannot be read"},
		"long operator": {"kernel_routes", generate(`{"constraints":[{"name":"dst","list":[{"op":` +
			strings.Repeat("7", 1<<20) + `,"expr":"1"}]}]}`), all, ""},
		"deep": {"kernel_routes", generate(strings.Repeat("[", 4<<20)), none, "osquery's request cannot be read"},
		"deep and whole": {"kernel_routes", generate(`{"x":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) +
			`,"constraints":[]}`), all, ""},
		"deep list": {"kernel_routes", generate(`{"constraints":[{"name":"dst","list":` + strings.Repeat("[", 1<<20) +
			strings.Repeat("]", 1<<20) + `}]}`), none, "osquery's request cannot be read"},
		"no context":     {"kernel_routes", generate(""), all, ""},
		"unknown column": {"kernel_routes", generate(equals("no_such_column", "1")), all, ""},
		"unknown used": {"kernel_routes", generate(`{"constraints":[],"colsUsed":["no_such_column"]}`), all,
			""},
		"NUL in a column":      {"kernel_routes", generate(equals(`dst\u0000`, "10.0.0.0/16")), all, ""},
		"NUL in a value":       {"kernel_routes", generate(equals("dst", `10.0.0.0/16\u0000`)), none, ""},
		"NUL as it is":         {"kernel_routes", generate(equals("dst", "10.0.0.0/16\x00")), none, "cannot be read"},
		"no UTF-8":             {"kernel_routes", generate(equals("dst", "10.0.0.0/16\xff")), all, ""},
		"no UTF-8 in a column": {"kernel_routes", generate(equals("dst\xff", "10.0.0.0/16")), all, ""},
		"lone surrogate":       {"kernel_routes", generate(equals("dst", `\ud800`)), all, ""},
		"NUL in a namespace": {"kernel_routes", generate(equals("netns", `/proc/self/ns/net\u0000`)), none,
			"kernel_routes: "},
		"unknown action": {"kernel_routes", map[string]string{"action": "drop"}, none, `unknown action "drop"`},
		"NUL in an action": {"kernel_routes", map[string]string{"action": "gen\x00erate"}, none,
			`unknown action "gen\x00`},
		"no action":          {"kernel_routes", nil, none, `unknown action ""`},
		"unknown table":      {"routes", generate("{}"), none, `no table "routes"`},
		"NUL in a table":     {"kernel_routes\x00", generate("{}"), none, `no table "kernel_routes\x00"`},
		"table is no UTF-8":  {"kernel_\xff", generate("{}"), none, `no table "kernel_\xff"`},
		"table with a break": {"kernel\nlevel=ERROR", generate("{}"), none, `no table "kernel\nlevel=ERROR"`},
	} {
		r, err := call(t, x.Address(), tc.table, tc.request)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case (tc.message != "") != (r.Status.Code != 0) || !strings.Contains(r.Status.Message, tc.message):
			t.Errorf("%s: status %d, %.300q, want %q", name, r.Status.Code, r.Status.Message, tc.message)
		case len(r.Status.Message) > 1000:
			t.Errorf("%s: a message of %d bytes", name, len(r.Status.Message))
		case len(r.Response) != tc.rows:
			t.Errorf("%s: %d rows, want %d", name, len(r.Response), tc.rows)
		}
	}
	answers(t, x.Address())
	terminates(t, x)
	if lines, _ := complaints(x); len(lines) > 0 {
		t.Errorf("it says, where osquery is told: %q", lines)
	}
}

// complaints are the lines of a process that are no hints for who has asked for what cannot be.
func complaints(x *exttest.Process) (lines []string, hints int) {
	for _, line := range said(x) {
		if strings.Contains(line, " table=kernel_") {
			hints++
		} else {
			lines = append(lines, line)
		}
	}
	return lines, hints
}

// parts are where a call has the length of something.
func parts(t *testing.T, message []byte) map[string]int {
	t.Helper()
	entries := bytes.Index(message, []byte{thrift.MAP, 0, 3, thrift.STRING, thrift.STRING}) + 5
	at := map[string]int{"method": 4, "map": entries}
	for _, s := range []string{"table", "kernel_routes", "action", "generate", "context", "{}"} {
		at[s] = bytes.Index(message, append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...))
	}
	for what, i := range at {
		if i < 4 {
			t.Fatalf("no length of %s in %q", what, message)
		}
	}
	return at
}

// message is a call as osquery sends it.
func message(context string) []byte {
	return osquerytest.Message("call", &osquery.ExtensionCallArgs{Registry: "table", Item: "kernel_routes",
		Request: generate(context)})
}

// send sends bytes, and nothing behind them, and returns what comes back until the connection ends.
func send(address string, b []byte) ([]byte, error) {
	conn, err := net.Dial("unix", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(b) // it may be refused before it has been read
	conn.(*net.UnixConn).CloseWrite()
	return io.ReadAll(conn)
}

// TestClaimedSizes claims a size that is not there in each part of a call, and in parts that a call does not
// have: the memory of the process stays what it is.
func TestClaimedSizes(t *testing.T) {
	t.Parallel()
	newHost(t)
	x := exttest.Start(t)
	whole := message("{}")
	var all [][]byte
	sizes := []uint32{1 << 31, 1<<32 - 1, 1<<31 - 1, 1 << 30, 100 << 20, 8<<20 + 1, 8<<20 - 300}
	for _, at := range parts(t, whole) {
		for _, n := range sizes {
			m := bytes.Clone(whole)
			binary.BigEndian.PutUint32(m[at:], n)
			all = append(all, m)
		}
	}
	head := osquerytest.Message("call", &osquery.ExtensionCallArgs{})
	head = head[:bytes.Index(head, []byte{thrift.STRING, 0, 1})]
	for _, n := range sizes {
		for _, begin := range [][]byte{ // fields that a call does not have
			{thrift.STRING, 0, 9},
			{thrift.LIST, 0, 9, thrift.STRING}, {thrift.LIST, 0, 9, thrift.BYTE}, {thrift.LIST, 0, 9, thrift.STRUCT},
			{thrift.SET, 0, 9, thrift.I64}, {thrift.SET, 0, 9, thrift.STOP},
			{thrift.MAP, 0, 9, thrift.STRING, thrift.STRING}, {thrift.MAP, 0, 9, thrift.STOP, thrift.STOP},
			{thrift.MAP, 0, 3, thrift.BYTE, thrift.BYTE},
		} {
			all = append(all, binary.BigEndian.AppendUint32(append(bytes.Clone(head), begin...), n))
		}
		// And without a version, as old Thrift began with the length of the name.
		all = append(all, binary.BigEndian.AppendUint32(nil, n))
	}
	var calls sync.WaitGroup
	turns := make(chan struct{}, 16)
	for _, m := range all {
		turns <- struct{}{}
		calls.Go(func() {
			defer func() { <-turns }()
			// A call whose size is not there is not answered, or refused.
			b, err := send(x.Address(), m)
			if errors.Is(err, os.ErrDeadlineExceeded) || bytes.Contains(b, []byte("OK")) {
				t.Errorf("%x: %q, %v", m, b, err)
			}
		})
	}
	calls.Wait()
	answers(t, x.Address())
	small(t, x)
	terminates(t, x)
	atMostOne(t, x, "a request cannot be read", "find out who but osquery writes to")
}

// atMostOne fails the test unless a process has said one line in ten seconds, with these words, and no more. Of
// hints there may be ten.
func atMostOne(t *testing.T, x *exttest.Process, words ...string) {
	t.Helper()
	lines, hints := complaints(x)
	most := 1 + int(time.Since(x.Started)/(10*time.Second))
	if len(lines) == 0 || len(lines) > most || hints > 10*most {
		t.Errorf("%d lines: %q", len(lines)+hints, said(x))
	}
	for _, line := range lines {
		for _, w := range words {
			if !strings.Contains(line, w) {
				t.Errorf("no %q in %q", w, line)
			}
		}
	}
}

// TestMutatedMessages sends thousands of damaged messages.
func TestMutatedMessages(t *testing.T) {
	t.Parallel()
	newHost(t)
	x := exttest.Start(t)
	const seed = 14
	r := rand.New(rand.NewPCG(seed, seed))
	whole := [][]byte{message(equals("dst", "0.0.0.0/0")), message("{}"),
		osquerytest.Message("ping", &osquery.ExtensionPingArgs{}),
		osquerytest.Message("call", &osquery.ExtensionCallArgs{Registry: "table", Item: "kernel_route_rules",
			Request: map[string]string{"action": "columns"}})}
	mutated := func() []byte {
		b := bytes.Clone(whole[r.IntN(len(whole))])
		for range 1 + r.IntN(3) {
			switch at := r.IntN(len(b)); r.IntN(6) {
			case 0: // any bytes
				for range 1 + r.IntN(8) {
					b[r.IntN(len(b))] = byte(r.Uint32())
				}
			case 1: // a bit
				b[at] ^= 1 << r.IntN(8)
			case 2: // a number
				if at+4 <= len(b) {
					binary.BigEndian.PutUint32(b[at:], r.Uint32()>>r.IntN(32))
				}
			case 3: // an end
				b = b[:at+1]
			case 4: // something twice
				b = append(b[:at:at], b[r.IntN(at+1):]...)
			case 5: // something of another message
				other := whole[r.IntN(len(whole))]
				b = append(b[:at:at], other[r.IntN(len(other)):]...)
			}
		}
		return b
	}
	var calls sync.WaitGroup
	turns := make(chan struct{}, 16)
	for range nstest.Amount(10_000, 2000) {
		b := mutated()
		turns <- struct{}{}
		calls.Go(func() {
			defer func() { <-turns }()
			if _, err := send(x.Address(), b); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("no answer and no end: %x", b)
			}
		})
	}
	calls.Wait()
	answers(t, x.Address())
	small(t, x)
	terminates(t, x)
	atMostOne(t, x, "a request cannot be read", "find out who but osquery writes to")
}
