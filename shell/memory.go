package shell

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ncruces/go-sqlite3"
	"golang.org/x/sys/unix"
)

// maxMemory bounds what SQLite may use, for sorting for example. It is address
// space that is reserved when a database is opened, not memory that is used: a
// million rows of all columns are sorted in 0.6 of it. A variable for tests.
var maxMemory int64 = 1 << 30

// minMemory is less than any statement needs that does more than count.
const minMemory = 8 << 20

// openMemory opens a database in memory and returns what SQLite may use there.
// Under a limit of the address space (ulimit -v) that is half of what is left,
// as reading the kernel takes memory too.
func openMemory(ctx context.Context) (conn *sqlite3.Conn, memory int64, err error) {
	memory = min(maxMemory, addressSpace()/2)
	if memory >= minMemory {
		defer func() {
			if e := recover(); e != nil { // the library knows no other way to fail
				conn, err = nil, memoryError(e, memory)
			}
		}()
		conn, err = sqlite3.OpenContext(sqlite3.WithMaxMemory(ctx, memory), ":memory:")
		return conn, memory, err
	}
	return nil, 0, fmt.Errorf("too little memory: %d MiB of address space are left for SQLite; allow more (ulimit -v)", memory>>20)
}

// addressSpace returns how many bytes of address space this process may still
// reserve (RLIMIT_AS).
func addressSpace() int64 {
	const plenty = 1 << 40
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_AS, &limit) != nil || limit.Cur > plenty {
		return plenty
	}
	var pages int64
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		fmt.Sscan(string(statm), &pages)
	}
	return int64(limit.Cur) - pages*int64(os.Getpagesize())
}

// memoryError makes an error of a panic of the SQLite library, which knows no
// other way to tell that memory is used up. Any other panic is a fault of this
// program: an error too, as a stack trace helps nobody who asks for routes.
func memoryError(panicked any, memory int64) error {
	err, _ := panicked.(error)
	switch {
	case errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("out of memory: the system does not give SQLite %d MiB; allow more (ulimit -v, ulimit -d)", memory>>20)
	case err != nil && err.Error() == "sqlite3: out of memory":
		return fmt.Errorf("out of memory: SQLite would need more than %d MiB; ask for fewer rows or columns, or without ORDER BY", memory>>20)
	case err != nil && err.Error() == "sqlite3: missing NUL terminator":
		return errors.New("a name in the SQL is longer than 1,000,000 bytes; give a column a shorter one with AS")
	}
	return fmt.Errorf("internal error: %v; please report it with the statement", panicked)
}
