package survival

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osquery/osquery-go/gen/osquery"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// TestManyRoutes has peers that ask for 100,000 routes (less with -short).
func TestManyRoutes(t *testing.T) {
	routes := nstest.Amount(100_000, 10_000)
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	lines := make([]string, routes)
	for i := range lines {
		lines[i] = fmt.Sprintf("route add 20.%d.%d.%d/32 via 10.0.0.%d metric 100 realm 7 mtu 1400 advmss 1300 "+
			"window 1000 rtt 100ms rttvar 50ms ssthresh 99 cwnd lock 9 initcwnd 10 initrwnd 11 reordering 4 "+
			"rto_min 200ms hoplimit 60 quickack 1 features ecn fastopen_no_cookie 1 src 10.0.0.1 protocol 42",
			i>>16, i>>8&255, i&255, 2+i%70)
	}
	nstest.Batch(t, "-4", lines...)
	atOnce(t, routes)
	hangUp(t, routes)
}

// atOnce asks for the routes two hundred times at once. The memory is that of the whole process; pings are
// answered meanwhile.
func atOnce(t *testing.T, routes int) {
	queries, memory := nstest.Amount(200, 50), nstest.Amount(400<<20, 100<<20)
	m := osquerytest.Start(t)
	m.SetFlag("disable_watchdog", "true")
	x := exttest.StartAt(t, m, "")
	message := osquerytest.Message("call", &osquery.ExtensionCallArgs{Registry: "table", Item: "kernel_routes",
		Request: exttest.Request(nil, "dst", "gateway", "dev")})

	alone, err := osquerytest.Exchange(x.Address(), message)
	if must(t, err); alone < int64(routes)*60 {
		t.Fatalf("an answer has %d bytes", alone)
	}
	start := time.Now()
	var answered, told atomic.Int32
	var calls sync.WaitGroup
	for range queries {
		calls.Go(func() {
			switch n, err := osquerytest.Exchange(x.Address(), message); {
			case err != nil:
				t.Error(err)
			case n == alone:
				answered.Add(1)
			case n < 1000: // TestQueue has what it says
				told.Add(1)
			default:
				t.Errorf("an answer has %d bytes, and alone it had %d", n, alone)
			}
		})
	}
	done := make(chan struct{})
	go func() { calls.Wait(); close(done) }()
	for pinging := true; pinging; {
		select {
		case <-done:
			pinging = false
		case <-time.After(200 * time.Millisecond):
			ctx, cancel := context.WithTimeout(x.Context, 20*time.Second)
			if err := x.Ping(ctx, x.UUID); err != nil {
				t.Errorf("a ping: %v", err)
			}
			cancel()
		}
	}
	peak := x.Size(t, "VmHWM")
	t.Logf("%d answered, %d told after %v; peak %d MiB", answered.Load(), told.Load(),
		time.Since(start).Round(time.Millisecond), peak>>20)
	if peak > memory {
		t.Errorf("%d MiB of memory", peak>>20)
	}
	if told.Load() > 0 && time.Since(start) < time.Minute {
		t.Errorf("%d were told before their time-out", told.Load())
	}
	answers(t, x.Address())
	terminates(t, x)
	quiet(t, x)
}

// hangUp has peers that close their connections in the middle of an answer of 100 MB.
func hangUp(t *testing.T, routes int) {
	x := exttest.StartAt(t, osquerytest.Start(t), "export KERNEL_ROUTES_MAX_RESPONSE_MB=0")
	all := osquerytest.Message("call", &osquery.ExtensionCallArgs{Registry: "table", Item: "kernel_routes",
		Request: generate("")})
	size, err := osquerytest.Exchange(x.Address(), all)
	must(t, err)
	if t.Logf("an answer of %d MB", size/1e6); size < int64(routes)*1000 {
		t.Fatalf("it has %d bytes: this proves too little", size)
	}
	before := openFiles(t, x)
	r := rand.New(rand.NewPCG(1, 2))
	for range 12 {
		conn, err := net.Dial("unix", x.Address())
		must(t, err)
		conn.SetDeadline(time.Now().Add(patience))
		_, err = conn.Write(all)
		must(t, err)
		if _, err := io.CopyN(io.Discard, conn, r.Int64N(size*3/4)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	answers(t, x.Address())
	waitFor(t, func() bool { return openFiles(t, x) <= before })
	terminates(t, x)
	if lines, _ := complaints(x); len(lines) > 0 {
		t.Errorf("it says, where others have closed connections: %q", lines)
	}
}

// openFiles is how many files a process has open.
func openFiles(t *testing.T, x *exttest.Process) int {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", x.Cmd.Process.Pid))
	must(t, err)
	return len(files)
}

// threads is how many threads a process has, of which each goroutine that hangs in a system call has one.
func threads(t *testing.T, x *exttest.Process) int {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", x.Cmd.Process.Pid))
	must(t, err)
	return len(tasks)
}

// TestManyRequests asks 100,000 times in a row, each time on a connection of its own (less with -short): no
// answer differs, and descriptors, threads and memory stay what they are. TestManyRequests of package extension
// has goroutines.
func TestManyRequests(t *testing.T) {
	newHost(t)
	x := exttest.Start(t)
	ask := osquerytest.Message("call", &osquery.ExtensionCallArgs{Registry: "table", Item: "kernel_routes",
		Request: exttest.Request([]string{"dst=0.0.0.0/0"}, "dst", "gateway", "dev", "metric")})
	want, err := send(x.Address(), ask)
	if err != nil || !bytes.Contains(want, []byte("10.0.0.2")) {
		t.Fatalf("%q, %v", want, err)
	}
	requests := nstest.Amount(100_000, 10_000)
	var files, tasks, memory [2]int // at the most, in the first half and in the second
	buf := make([]byte, len(want)+1)
	for i := range requests {
		if err := askOnce(x.Address(), ask, buf, want); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if i%500 == 0 {
			half := i * 2 / requests
			files[half] = max(files[half], openFiles(t, x))
			tasks[half] = max(tasks[half], threads(t, x))
			memory[half] = max(memory[half], x.Size(t, "VmRSS"))
		}
	}
	t.Logf("files %v, threads %v, memory %v", files, tasks, memory)
	if files[1] > files[0]+4 || tasks[1] > tasks[0]+4 || memory[1] > memory[0]+8<<20 {
		t.Errorf("in the first and the second half there were %v files, %v threads, %v bytes of memory", files, tasks,
			memory)
	}
	answers(t, x.Address())
	terminates(t, x)
	quiet(t, x)
}

// askOnce sends a message on a connection of its own and compares the answer.
func askOnce(address string, message, buf, want []byte) error {
	conn, err := net.Dial("unix", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(message); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, buf[:len(want)]); err != nil {
		return err
	}
	if !bytes.Equal(buf[:len(want)], want) {
		return fmt.Errorf("another answer: %q", buf)
	}
	return nil
}

// TestSilentConnections has 1,000 silent connections, and few descriptors: queries are answered, and the log has
// a line.
func TestSilentConnections(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{"few descriptors": "ulimit -n 64", "as it is": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newHost(t)
			x := exttest.StartAt(t, osquerytest.Start(t), before)
			for range 1000 {
				conn, err := net.Dial("unix", x.Address())
				must(t, err)
				defer conn.Close()
			}
			for range 20 {
				answers(t, x.Address())
			}
			// More queries at once than there are descriptors: who cannot wait is told.
			var calls sync.WaitGroup
			for range 100 {
				calls.Go(func() {
					r, err := x.Call(x.Context, "kernel_routes", generate("{}"))
					const full = "too many queries at once"
					if err == nil && r.Status.Code != 0 && !strings.Contains(r.Status.Message, full) {
						t.Error(r.Status.Message)
					}
				})
			}
			calls.Wait()
			answers(t, x.Address())
			terminates(t, x)
			lines, _ := complaints(x)
			kinds := map[string]int{}
			for _, line := range lines {
				_, what, _ := strings.Cut(line, "msg=")
				kinds[what[:20]]++
				if !strings.Contains(line, "find out who connects to "+x.Address()) {
					t.Errorf("it does not say what to do: %s", line)
				}
			}
			if most := 1 + int(time.Since(x.Started)/(10*time.Second)); len(kinds) > 2 || len(lines) > len(kinds)*most {
				t.Errorf("%q", lines)
			}
		})
	}
}

// TestSlowSenders has more peers than there are connections that send a byte a second: they keep nobody out,
// and those that are there when they have sent all are answered.
func TestSlowSenders(t *testing.T) {
	t.Parallel()
	newHost(t)
	x := exttest.Start(t)
	ping := osquerytest.Message("ping", &osquery.ExtensionPingArgs{})
	conns := make([]net.Conn, 1100)
	for i := range conns {
		var err error
		conns[i], err = net.Dial("unix", x.Address())
		must(t, err)
		defer conns[i].Close()
	}
	const seconds = 5
	for sent := range seconds {
		next := time.After(time.Second)
		for _, conn := range conns {
			conn.Write(ping[sent : sent+1]) // those that are too many are closed
		}
		answers(t, x.Address())
		<-next
	}
	last := conns[len(conns)-1]
	last.SetDeadline(time.Now().Add(patience))
	_, err := last.Write(ping[seconds:])
	must(t, err)
	answer := make([]byte, 64)
	if n, err := last.Read(answer); err != nil || !bytes.Contains(answer[:n], []byte("pong")) {
		t.Errorf("%q, %v", answer[:n], err)
	}
	answers(t, x.Address())
	small(t, x)
	terminates(t, x)
	atMostOne(t, x, "too many connections", "find out who connects to "+x.Address())
}

// TestHalfSent has peers that send most of large requests, and then nothing: together they may hold so much, and
// osquery's requests have room beside them.
func TestHalfSent(t *testing.T) {
	t.Parallel()
	newHost(t)
	x := exttest.Start(t)
	var conns []net.Conn
	allButOne := func(size int) { // of a request with so many bytes
		request := message(strings.Repeat(" ", size-len(message(""))))
		conn, err := net.Dial("unix", x.Address())
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patience))
		_, err = conn.Write(request[:size-1])
		must(t, err)
		waitFor(t, func() bool { return unread(t, conn) == 0 })
		conns = append(conns, conn)
	}
	for range 8 {
		allButOne(8 << 20)
	}
	megabyte := strings.Repeat(" ", 1<<20) + "{}"
	r, err := call(t, x.Address(), "kernel_routes", generate(megabyte))
	if err != nil || r.Status.Code == 0 || !strings.Contains(r.Status.Message, "bytes at once") {
		t.Errorf("%v, %v", r, err)
	}
	for range 10 { // what is left is less than any request has
		allButOne(200)
		allButOne(110)
	}
	answers(t, x.Address())
	for _, conn := range conns {
		conn.Close()
	}
	waitFor(t, func() bool { // until it has noticed
		r, err := call(t, x.Address(), "kernel_routes", generate(megabyte))
		return err == nil && r.Status.Code == 0 && len(r.Response) > 0
	})
	answers(t, x.Address())
	if peak := x.Size(t, "VmHWM"); peak > 300<<20 {
		t.Errorf("it has had %d MiB of memory", peak>>20)
	}
	terminates(t, x)
}

// unread is how many bytes of what was sent on a connection have not been received.
func unread(t *testing.T, conn net.Conn) (n int) {
	t.Helper()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) }))
	must(t, err)
	return n
}
