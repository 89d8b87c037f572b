package shell

import (
	"encoding/binary"
	"reflect"

	"github.com/ncruces/go-sqlite3"
	sqlite3_wasm "github.com/ncruces/go-sqlite3-wasm/v6"
)

// realDigits is how many significant digits a real has as a text in SQLite 3.40
// (%!.15g), which osquery has. Newer ones write 17.
const realDigits = 15

// setRealDigits makes SQLite write reals as osquery's does wherever one becomes a text:
// in the result, by CAST, by group_concat, in a concatenation. (JSON functions and quote
// do not ask it.) The option is SQLITE_DBCONFIG_FP_DIGITS; the library's Config takes
// only options that are on or off, so this calls what Config calls.
func setRealDigits(conn *sqlite3.Conn) error {
	c := reflect.ValueOf(conn).Elem()
	wrapper := c.FieldByName("wrp").Elem()
	module := (*sqlite3_wasm.Module)(wrapper.FieldByName("Module").UnsafePointer())
	// The variadic arguments: an int, and where to write the one that holds from now on.
	args := module.Xsqlite3_malloc(8)
	if args == 0 {
		return sqlite3.NOMEM
	}
	defer module.Xsqlite3_free(args)
	memory := wrapper.FieldByName("Memory").Elem().FieldByName("Buf").Bytes()
	binary.LittleEndian.PutUint32(memory[args:], realDigits)
	binary.LittleEndian.PutUint32(memory[args+4:], 0)
	handle := int32(c.FieldByName("handle").Uint())
	if rc := module.Xsqlite3_db_config(handle, int32(sqlite3.DBCONFIG_FP_DIGITS), args); rc != 0 {
		return sqlite3.ErrorCode(rc)
	}
	return nil
}
