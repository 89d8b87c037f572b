package extension

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/thrift/lib/go/thrift"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
	"kernelroutes/tables"
)

// TestOwnSocket: what is in the place of the socket's file is told, and left alone.
func TestOwnSocket(t *testing.T) {
	path := socketDir(t) + "/em.1"
	says := func(err error, words string) {
		t.Helper()
		if !errors.Is(err, ErrSocketLost) || !strings.Contains(err.Error(), words+path) {
			t.Errorf("%v, want %v and %s%s", err, ErrSocketLost, words, path)
		}
	}
	open := func() *ownSocket {
		t.Helper()
		s, err := listenAt(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := open()
	if err := first.check(); err != nil {
		t.Error(err)
	}
	second := open() // as one that osquery has given the number of another that is dead
	says(first.check(), "something else is at ")
	first.Close()
	if err := second.check(); err != nil {
		t.Errorf("the first has taken the second one's file along: %v", err)
	}
	second.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file is left: %v", err)
	}
	says(second.check(), "somebody has removed ")
	if err := os.WriteFile(path, []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	const inPlace = "something else is in its place"
	if _, err := listenAt(t.Context(), path); err == nil || !strings.Contains(err.Error(), inPlace) {
		t.Errorf("a file is taken away: %v", err)
	}
}

// TestOthersWhoWrite has the folders that osquery's socket may be in.
func TestOthersWhoWrite(t *testing.T) {
	dir := socketDir(t)
	const every = "every user"
	for mode, want := range map[os.FileMode]string{0o700: "", 0o755: "", 0o777: every, 0o777 | os.ModeSticky: every} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if got := othersWhoWrite(dir); got != want {
			t.Errorf("%v: %q, want %q", mode, got, want)
		}
	}
	if got := othersWhoWrite(dir + "/nothing"); got != "" {
		t.Errorf("a folder that is not there: %q", got)
	}
}

// TestOsqueryWithoutEnd has something in osquery's place that answers with bytes now and then, with more than
// there may be, and with claims: the extension gives up, and makes no memory for what is not there.
func TestOsqueryWithoutEnd(t *testing.T) {
	begin := func(size uint32, more ...byte) []byte { // of the answer to ping: a message with a name of a size
		b := binary.BigEndian.AppendUint32(nil, thrift.VERSION_1|uint32(thrift.REPLY))
		return append(binary.BigEndian.AppendUint32(b, size), more...)
	}
	ping := append(begin(4), "ping"...)
	ping = append(ping, 0, 0, 0, 1)
	for name, answer := range map[string]func(io.Writer){
		"slow": func(w io.Writer) {
			for _, err := w.Write(begin(1000)); err == nil; _, err = w.Write([]byte{'x'}) {
				time.Sleep(20 * time.Millisecond)
			}
		},
		"endless": func(w io.Writer) {
			field := append([]byte{thrift.STRING, 0, 9, 0, 0, 0xff, 0xff}, make([]byte, 0xffff)...)
			for _, err := w.Write(ping); err == nil; _, err = w.Write(field) {
			}
		},
		"claims a name":   func(w io.Writer) { w.Write(begin(1<<31 - 1)); io.Copy(io.Discard, w.(io.Reader)) },
		"claims nothing":  func(w io.Writer) { w.Write(begin(1 << 31)) },
		"claims a string": func(w io.Writer) { w.Write(append(ping, thrift.STRING, 0, 9, 0x7f, 0xff, 0xff, 0xff)) },
		"claims a map": func(w io.Writer) {
			w.Write(append(ping, thrift.MAP, 0, 0, thrift.I64, thrift.STRUCT, 0, 0x4c, 0x4b, 0x40)) // 5 million
		},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			path := socketDir(t) + "/em"
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer conn.Close()
						if n, _ := conn.Read(make([]byte, 1000)); n > 0 {
							answer(conn)
						}
					}()
				}
			}()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			e := &Extension{Socket: path}
			m, err := e.dial(t.Context(), 300*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			done := make(chan error, 1)
			go func() {
				_, err := m.Ping(t.Context())
				if err == nil {
					_, err = m.Extensions(t.Context())
				}
				done <- err
			}()
			select {
			case err := <-done:
				if err == nil {
					t.Error("it is taken for an answer")
				}
			case <-time.After(patience):
				t.Error("it waits on")
			}
			runtime.ReadMemStats(&after)
			if spent := after.TotalAlloc - before.TotalAlloc; spent > 32<<20 {
				t.Errorf("%d bytes are allocated", spent)
			}
		})
	}
}

// TestHeld has requests that hold all there may be: a small one is read nevertheless.
func TestHeld(t *testing.T) {
	var held atomic.Int64
	held.Store(maxHeld)
	for size, want := range map[int]error{smallRequest / 2: nil, 2 * smallRequest: errTooLarge} {
		message := callMessage(map[string]string{"action": "generate", "context": strings.Repeat("x", size)})
		r, err := readRequest(bufio.NewReader(bytes.NewReader(message)), &held)
		if !errors.Is(err, want) || r == nil {
			t.Errorf("%d bytes: %v, want %v", size, err, want)
		}
		if err == nil {
			r.done()
		}
		if n := held.Load(); n != maxHeld {
			t.Errorf("%d bytes are held, and %d were", n, maxHeld)
		}
	}
}

// TestManyRequests has many requests in a row, each on a connection of its own: neither goroutines nor
// descriptors become more. Package survival has what can be seen of the built program.
func TestManyRequests(t *testing.T) {
	s, _ := listening(t, oneRow(tables.Routes))
	address := s.listener.Addr().String()
	ask := func(n int) (goroutines, files int) {
		for i := range n {
			if n, err := osquerytest.Exchange(address, callMessage(everything)); err != nil || n < 100 {
				t.Fatalf("request %d: %d bytes, %v", i, n, err)
			}
			goroutines, files = max(goroutines, runtime.NumGoroutine()), max(files, nstest.OpenFiles(t))
		}
		return goroutines, files
	}
	n := nstest.Amount(10_000, 1000)
	goroutines, files := ask(n / 10)
	if more, moreFiles := ask(n); more > goroutines+5 || moreFiles > files+5 {
		t.Errorf("%d goroutines and %d files, then %d and %d", goroutines, files, more, moreFiles)
	}
}
