package shell

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/ncruces/go-sqlite3"
)

// What SQL may do is what osquery allows (sqliteAuthorizer in its sqlite_util.cpp):
// it reads, and makes tables and views in memory. Nothing opens or writes a file
// (CVE-2020-26273), and what only newer versions of SQLite have is not there, so
// that a statement that answers here answers in a fleet.

// allowedActions are osquery's kAllowedSQLiteActionCodes.
var allowedActions = [64]bool{
	sqlite3.AUTH_READ: true, sqlite3.AUTH_SELECT: true,
	sqlite3.AUTH_INSERT: true, sqlite3.AUTH_UPDATE: true, sqlite3.AUTH_DELETE: true,
	sqlite3.AUTH_CREATE_VTABLE: true, sqlite3.AUTH_DROP_VTABLE: true,
	sqlite3.AUTH_CREATE_VIEW: true, sqlite3.AUTH_DROP_VIEW: true,
	sqlite3.AUTH_CREATE_TABLE: true, sqlite3.AUTH_DROP_TABLE: true,
	sqlite3.AUTH_CREATE_TEMP_TABLE: true, sqlite3.AUTH_DROP_TEMP_TABLE: true,
	sqlite3.AUTH_CREATE_TEMP_VIEW: true, sqlite3.AUTH_DROP_TEMP_VIEW: true,
	sqlite3.AUTH_FUNCTION: true, sqlite3.AUTH_RECURSIVE: true, sqlite3.AUTH_TRANSACTION: true,
}

// allowedPragmas are osquery's kAllowedSQLitePragmas.
var allowedPragmas = []string{
	"table_info", "table_xinfo", "function_list", "journal_mode", "case_sensitive_like", "collation_list",
}

// newerTables are functions that return rows and are in the library, not in osquery.
var newerTables = []string{"generate_series", "jsonb_each", "jsonb_tree"}

// refusedActions says in SQL what is refused.
var refusedActions = map[sqlite3.AuthorizerActionCode]string{
	sqlite3.AUTH_ALTER_TABLE:         "ALTER TABLE",
	sqlite3.AUTH_ANALYZE:             "ANALYZE",
	sqlite3.AUTH_ATTACH:              "ATTACH and VACUUM",
	sqlite3.AUTH_CREATE_INDEX:        "CREATE INDEX, PRIMARY KEY and UNIQUE",
	sqlite3.AUTH_CREATE_TEMP_INDEX:   "CREATE INDEX, PRIMARY KEY and UNIQUE",
	sqlite3.AUTH_CREATE_TEMP_TRIGGER: "CREATE TRIGGER",
	sqlite3.AUTH_CREATE_TRIGGER:      "CREATE TRIGGER",
	sqlite3.AUTH_DETACH:              "DETACH",
	sqlite3.AUTH_REINDEX:             "REINDEX",
	sqlite3.AUTH_SAVEPOINT:           "SAVEPOINT",
}

// authorize is asked by SQLite while it prepares a statement. Why something was
// refused is left in db.refused, as SQLite's own message does not tell.
func (db *database) authorize(
	action sqlite3.AuthorizerActionCode, name, name2, _, _ string,
) sqlite3.AuthorizerReturnCode {
	what := ""
	switch {
	case action == sqlite3.AUTH_FUNCTION && !functions()[strings.ToLower(name2)]:
		db.refused = errors.New("no such function: " + db.asWritten(name2))
		return sqlite3.AUTH_DENY
	case action == sqlite3.AUTH_READ && slices.Contains(newerTables, strings.ToLower(name)):
		db.refused = db.noSuchTable(name)
		return sqlite3.AUTH_DENY
	case int(action) < len(allowedActions) && allowedActions[action]:
		return sqlite3.AUTH_OK
	case action == sqlite3.AUTH_PRAGMA:
		if slices.Contains(allowedPragmas, strings.ToLower(name)) {
			return sqlite3.AUTH_OK
		}
		what = "PRAGMA " + name
	default:
		what = refusedActions[action]
	}
	db.refused = fmt.Errorf("not authorized: %s; as in osquery, SQL may read, "+
		"and make tables and views in memory, and nothing else", what)
	return sqlite3.AUTH_DENY
}

// asWritten returns a name as it stands in the statement, which is how SQLite tells
// of a function that is not there: REGEXP, not regexp.
func (db *database) asWritten(name string) string {
	written := regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(name) + `\b`).FindString(db.statement)
	return cmp.Or(written, name)
}

// functions are those that SQL may call: of SQLite 3.40, built as osquery builds
// it, and osquery's own.
var functions = sync.OnceValue(func() map[string]bool {
	all := make(map[string]bool, 160)
	for name := range strings.FieldsSeq(sqliteFunctions) {
		all[name] = true
	}
	for _, f := range osqueryFunctions {
		all[f.name] = true
	}
	return all
})

// sqliteFunctions are the functions of SQLite 3.40 without options but
// SQLITE_SOUNDEX, as PRAGMA function_list lists them.
const sqliteFunctions = `
	-> ->> abs avg changes char coalesce count cume_dist current_date current_time
	current_timestamp date datetime dense_rank first_value format glob group_concat
	hex ifnull iif instr json json_array json_array_length json_extract
	json_group_array json_group_object json_insert json_object json_patch json_quote
	json_remove json_replace json_set json_type json_valid julianday lag
	last_insert_rowid last_value lead length like likelihood likely lower ltrim match
	max min nth_value ntile nullif percent_rank printf quote random randomblob rank
	replace round row_number rtrim sign soundex sqlite_compileoption_get
	sqlite_compileoption_used sqlite_log sqlite_source_id sqlite_version strftime
	substr substring subtype sum time total total_changes trim typeof unicode
	unixepoch unlikely upper zeroblob`
