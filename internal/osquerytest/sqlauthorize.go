package osquerytest

import (
	"errors"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// What SQL may do, and has, in osquery: see sqliteAuthorizer in its sqlite_util.cpp.

// allowed are osquery's kAllowedSQLiteActionCodes.
var allowed = map[sqlite3.AuthorizerActionCode]bool{
	sqlite3.AUTH_READ: true, sqlite3.AUTH_SELECT: true, sqlite3.AUTH_FUNCTION: true,
	sqlite3.AUTH_INSERT: true, sqlite3.AUTH_UPDATE: true, sqlite3.AUTH_DELETE: true,
	sqlite3.AUTH_CREATE_VTABLE: true, sqlite3.AUTH_DROP_VTABLE: true,
	sqlite3.AUTH_CREATE_VIEW: true, sqlite3.AUTH_DROP_VIEW: true,
	sqlite3.AUTH_CREATE_TABLE: true, sqlite3.AUTH_DROP_TABLE: true,
	sqlite3.AUTH_CREATE_TEMP_TABLE: true, sqlite3.AUTH_DROP_TEMP_TABLE: true,
	sqlite3.AUTH_CREATE_TEMP_VIEW: true, sqlite3.AUTH_DROP_TEMP_VIEW: true,
	sqlite3.AUTH_RECURSIVE: true, sqlite3.AUTH_TRANSACTION: true,
}

// allowedPragmas are osquery's kAllowedSQLitePragmas.
var allowedPragmas = words(`table_info table_xinfo function_list journal_mode case_sensitive_like collation_list`)

// newerTables are functions that return rows and are in this SQLite, not in osquery's.
var newerTables = words(`generate_series jsonb_each jsonb_tree`)

// olderFunctions are those of osquery's SQLite, built with its options, of which SQLITE_SOUNDEX
// is the only one that adds a function.
var olderFunctions = words(`-> ->> abs avg changes char coalesce count cume_dist current_date current_time
	current_timestamp date datetime dense_rank first_value format glob group_concat hex ifnull iif instr
	json json_array json_array_length json_extract json_group_array json_group_object json_insert
	json_object json_patch json_quote json_remove json_replace json_set json_type json_valid julianday
	lag last_insert_rowid last_value lead length like likelihood likely lower ltrim match max min
	nth_value ntile nullif percent_rank printf quote random randomblob rank replace round row_number
	rtrim sign soundex sqlite_compileoption_get sqlite_compileoption_used sqlite_log sqlite_source_id
	sqlite_version strftime substr substring subtype sum time total total_changes trim typeof unicode
	unixepoch unlikely upper zeroblob`)

func words(list string) map[string]bool {
	all := map[string]bool{}
	for word := range strings.FieldsSeq(list) {
		all[word] = true
	}
	return all
}

// authorize is asked by SQLite while it prepares a statement.
func (db *database) authorize(
	action sqlite3.AuthorizerActionCode, name, function, _, _ string,
) sqlite3.AuthorizerReturnCode {
	function = strings.ToLower(function)
	switch {
	case action == sqlite3.AUTH_FUNCTION && !olderFunctions[function] && !db.defined[function]:
		db.failure = errors.New("no such function: " + function)
	case action == sqlite3.AUTH_READ && newerTables[strings.ToLower(name)]:
		db.failure = errors.New("no such table: " + name)
	case allowed[action], action == sqlite3.AUTH_PRAGMA && allowedPragmas[strings.ToLower(name)]:
		return sqlite3.AUTH_OK
	}
	return sqlite3.AUTH_DENY
}

// defineFunctions defines those that osquery adds, and takes away what those of older SQLite
// could not do. ncruces' own functions are left to authorize.
func (db *database) defineFunctions(define func(*sqlite3.Conn) error) error {
	library, err := db.userFunctions()
	if err != nil {
		return err
	}
	if define != nil {
		if err := define(db.Conn); err != nil {
			return err
		}
	}
	all, err := db.userFunctions()
	for name := range all {
		db.defined[name] = !library[name]
	}
	for name, args := range map[string][]int{"iif": {2, 4, 5, 6, 7, 8, 9}, "json_valid": {2}} {
		wrong := errors.New("wrong number of arguments to function " + name + "()")
		for _, n := range args {
			err = errors.Join(err, db.CreateFunction(name, n, sqlite3.INNOCUOUS,
				func(ctx sqlite3.Context, _ ...sqlite3.Value) { ctx.ResultError(wrong) }))
		}
	}
	return err
}

// userFunctions are those that are not SQLite's.
func (db *database) userFunctions() (map[string]bool, error) {
	stmt, _, err := db.Prepare("SELECT name FROM pragma_function_list WHERE NOT builtin")
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	names := map[string]bool{}
	for stmt.Step() {
		names[strings.ToLower(stmt.ColumnText(0))] = true
	}
	return names, stmt.Err()
}

// newerSyntax returns what of a query osquery's SQLite would not understand, though a newer one
// does: ORDER BY among the arguments of a function (3.44), and 1_000 (3.46).
func newerSyntax(sql string) string {
	var inFunction []bool // of each open parenthesis
	previous := ""
	for sql != "" {
		word := token(sql)
		sql = sql[len(word):]
		switch {
		case word == "(":
			inFunction = append(inFunction, olderFunctions[strings.ToLower(previous)])
		case word == ")" && len(inFunction) > 0:
			inFunction = inFunction[:len(inFunction)-1]
		case previous == "(" && (strings.EqualFold(word, "select") || strings.EqualFold(word, "with")):
			inFunction[len(inFunction)-1] = false // LIKE (SELECT ...): an operator
		case strings.EqualFold(word, "order") && len(inFunction) > 0 && inFunction[len(inFunction)-1]:
			return word
		case word[0] >= '0' && word[0] <= '9' && strings.Contains(word, "_"):
			return word[strings.Index(word, "_"):]
		}
		if strings.TrimSpace(word) != "" && !strings.HasPrefix(word, "--") && !strings.HasPrefix(word, "/*") {
			previous = word
		}
	}
	return ""
}

// token returns what SQL begins with: a word or number, a quoted text, a comment, or a byte.
func token(sql string) string {
	end := -1
	switch {
	case strings.HasPrefix(sql, "--"):
		end = strings.IndexByte(sql, '\n')
	case strings.HasPrefix(sql, "/*"):
		if end = strings.Index(sql[2:], "*/"); end >= 0 {
			end += 4
		}
	case strings.ContainsRune("'\"`", rune(sql[0])):
		if end = strings.IndexByte(sql[1:], sql[0]); end >= 0 { // a doubled quote begins the next one
			end += 2
		}
	case sql[0] == '[':
		end = strings.IndexByte(sql, ']') + 1
	default:
		end = 0
		for end < len(sql) && (sql[end] == '_' || digit(sql[end]) < 36 || sql[end] >= 0x80) {
			end++
		}
		end = max(end, 1)
	}
	if end <= 0 {
		return sql
	}
	return sql[:end]
}
