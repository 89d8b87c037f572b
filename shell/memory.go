package shell

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/ncruces/go-sqlite3"
)

// maxMemory bounds what SQLite may use, for sorting for example. It is address
// space that is reserved when a database is opened, not memory that is used: a
// million rows of 75 columns are sorted in a fifth of it. A variable for tests.
var maxMemory int64 = 1 << 30

// minMemory is what has to be left for SQLite, and once more for this program,
// whose runtime reserves 64 MiB at a time and cannot be told that there are none.
const minMemory = 64 << 20

// plenty is how much address space there is without a limit.
const plenty = 1 << 40

// openMemory opens a database in memory and returns what SQLite may use there.
// Under a limit of the address space (ulimit -v) that is half of what is left,
// as reading the kernel takes memory too. If there is none, the library panics.
func openMemory() (conn *sqlite3.Conn, memory int64, err error) {
	left := addressSpace()
	if left < 2*minMemory {
		return nil, 0, fmt.Errorf("too little memory: %d MiB of address space are left, and %d are needed; "+
			"allow more (ulimit -v)", left>>20, 2*minMemory>>20)
	}
	memory = min(maxMemory, left/2)
	conn, err = sqlite3.OpenContext(sqlite3.WithMaxMemory(context.Background(), memory), ":memory:")
	return conn, memory, err
}

// outOfMemory reports whether a panic of the SQLite library says that SQLite had an error: no more memory.
func outOfMemory(panicked any) bool {
	err, ok := panicked.(error)
	return ok && err.Error() == "sqlite3: out of memory"
}

// discard gives back the memory of a database that has used up what it may have, if it can be closed.
func (db *database) discard() {
	defer func() { _ = recover() }() // it is as lost as without
	db.Close()
}

// recovered makes an error of a panic of the SQLite library, which knows no
// other way to tell that memory is used up. Any other panic is a fault of this
// program: an error too, as a stack trace helps nobody who asks for routes.
func recovered(panicked any, db *database) error {
	memory := maxMemory
	if db != nil {
		memory = db.memory
	}
	err, _ := panicked.(error)
	switch {
	case errors.Is(err, syscall.ENOMEM):
		return errors.New("out of memory: the system gives SQLite no more; allow more (ulimit -v, ulimit -d), " +
			"or ask for fewer rows or columns")
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENOSYS):
		return fmt.Errorf("the system gives SQLite no memory: %w; look for a seccomp or LSM rule that denies mmap "+
			"or mprotect", err)
	case outOfMemory(panicked):
		return fmt.Errorf("out of memory: SQLite would need more than %d MiB; "+
			"ask for fewer rows or columns, or without ORDER BY", memory>>20)
	case err != nil && err.Error() == "sqlite3: missing NUL terminator":
		return errors.New("a name in the SQL is longer than 1,000,000 bytes; give a column a shorter one with AS")
	}
	return fmt.Errorf("internal error: %v; please report it with the statement", panicked)
}
