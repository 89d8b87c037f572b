package author

import (
	"os/exec"
	"testing"
	"time"
)

// BenchmarkFind is of a process that was found before, of one that was not, of one that another
// process is, so that all of them are searched, and of a port that nobody has.
func BenchmarkFind(b *testing.B) {
	l := listen(b)
	w, _ := start(b, self, 0)
	_, first := w.open(0)
	_, second := w.open(0)
	for _, bm := range []struct {
		name    string
		port    uint32
		want    Certainty
		prepare func()
	}{
		{"known", first, Process, func() {}},
		{"new", first, Process, func() { l.forgetAll() }},
		{"searched", second, OtherSocket, func() { l.forgetAll(); l.rest = time.Time{} }},
		{"nobody", second - 1, Unknown, func() { l.forgetAll() }},
		{"nobody again", second - 1, Unknown, func() {}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bm.prepare()
				if _, got := l.Find(bm.port); got != bm.want {
					b.Fatalf("%s, want %s", got, bm.want)
				}
			}
		})
	}
	// Where another process is made before each, children are looked for again.
	b.Run("known and forked", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			if err := exec.Command("true").Run(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if _, got := l.Find(first); got != Process {
				b.Fatal(got)
			}
		}
	})
}

// forgetAll forgets what is known of ports.
func (f *Finder) forgetAll() {
	for _, k := range f.asked {
		k.holder.forget()
	}
	f.asked = f.asked[:0]
}
