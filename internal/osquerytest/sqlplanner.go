package osquerytest

import (
	"encoding/binary"
	"errors"
	"reflect"

	"github.com/ncruces/go-sqlite3"
)

// newerPlanning are the optimizations of SQLite that osquery's (3.42) does not know, as the bits
// of its sqliteInt.h: ORDER BY of sub-queries (3.47), star queries (3.48), EXISTS as a join
// (3.51). They change which table is asked first, and how often.
const newerPlanning = 0x10000000 | 0x20000000 | 0x40000000

// Where struct sqlite3 has errMask, dbOptFlags and enc on a machine with pointers of 32 bits,
// which the library emulates.
const atErrMask, atOptFlags, atEnc = 72, 80, 84

// planAsOlder makes SQLite plan as osquery's older one. SQLite has sqlite3_test_control for it,
// which the library does not pass on: it sets a word of the connection, and so does this.
func planAsOlder(conn *sqlite3.Conn) error {
	changed := errors.New("the library of SQLite has changed: find out where its struct sqlite3 " +
		"has dbOptFlags now (sqliteInt.h)")
	c := reflect.ValueOf(conn).Elem()
	handle, wrapper := c.FieldByName("handle"), c.FieldByName("wrp")
	if !handle.IsValid() || !handle.CanUint() || wrapper.Kind() != reflect.Pointer {
		return changed
	}
	memory := wrapper.Elem().FieldByName("Memory")
	if memory.Kind() != reflect.Pointer || !memory.Elem().FieldByName("Buf").IsValid() {
		return changed
	}
	db := memory.Elem().FieldByName("Buf").Bytes()[handle.Uint():]
	// The library asks for extended error codes, so the mask is of all bits.
	mask, flags := binary.LittleEndian.Uint32(db[atErrMask:]), binary.LittleEndian.Uint32(db[atOptFlags:])
	if mask != 0xffffffff || flags != 0 || db[atEnc] != 1 { // SQLITE_UTF8
		return changed
	}
	binary.LittleEndian.PutUint32(db[atOptFlags:], newerPlanning)
	return nil
}
