package extension

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/thousands"
	"kernelroutes/tables"
)

// What an answer costs osquery's own memory, at most. osquery holds a row in
// several shapes at once (what Thrift reads and the copy of it, the virtual
// table's row, the result, in a differential query the result of before, JSON), in
// each a std::map or JSON object with a node for every used column, whether the row
// has a value there or not, and a buffer for each string that is too long for the
// one inside std::string. docs/memory.md has what was measured.
const (
	rowCost     = 1150
	countedCost = 250 // a row without a used column, as for count(*)
	valueCost   = 640
	rowIDCost   = 300 // a node of what is read and of its copies, but not of the result
	shortString = 15
	copies      = 6 // of a string
)

// stringCost is what osquery pays for a string beside the nodes.
func stringCost(n int) int64 {
	if n <= shortString {
		return 0
	}
	return copies * int64(n+17) // a NUL and malloc's share
}

const mb = 1 << 20 // as in osquery's watchdog_memory_limit

// A memoryLimit is how many bytes of osquery's memory an answer may be estimated
// at; 0: any number.
type memoryLimit struct {
	bytes int64
	from  string // who set it
}

// MaxResponseVariable is the environment variable that sets Extension.MaxResponse, in MB.
const MaxResponseVariable = "KERNEL_ROUTES_MAX_RESPONSE_MB"

// The limits where osquery's flags set none (kWatchdogLimits in core/watcher.cpp).
const (
	watchdogNormal      = 200 * mb
	watchdogRestrictive = 100 * mb // watchdog_level 1
	watchdogOff         = 10_000 * mb
	unwatched           = 2048 * mb // ours: no process should grow by more for a query
)

// watchdogLimit returns the limit that osquery's watchdog puts on its worker,
// which it kills beyond it, to denylist the query. Flags that are not there are
// taken for osquery's defaults. osqueryi has disable_watchdog on.
func watchdogLimit(flags osquery.InternalOptionList) memoryLimit {
	value := func(flag string) string {
		info := flags[flag]
		switch {
		case info == nil:
			return ""
		case info.Value == "":
			return info.DefaultValue
		}
		return info.Value
	}
	if off, err := strconv.ParseBool(value("disable_watchdog")); err == nil && off {
		return memoryLimit{unwatched, "the extension's own where osquery's watchdog is off"}
	}
	if n, err := strconv.ParseUint(value("watchdog_memory_limit"), 10, 63); err == nil && n > 0 {
		return memoryLimit{int64(min(n, 1<<40)) * mb, "osquery's watchdog_memory_limit"}
	}
	switch level := value("watchdog_level"); level {
	case "1":
		return memoryLimit{watchdogRestrictive, "that of osquery's watchdog_level 1"}
	case "-1":
		return memoryLimit{watchdogOff, "that of osquery's watchdog_level -1"}
	}
	return memoryLimit{watchdogNormal, "that of osquery's watchdog"}
}

// tooLarge says how large the answer would have been and what can be done.
func tooLarge(t *tables.Table, rows, columns int, cost int64, limit memoryLimit) error {
	narrow := make([]string, 0, 3)
	for _, c := range t.Columns {
		if c.Options&(tables.Additional|tables.Hidden) == tables.Additional && len(narrow) < cap(narrow) {
			narrow = append(narrow, c.Name+"=...")
		}
	}
	advice := "select fewer columns"
	switch {
	case t.Name == tables.Events.Name:
		advice = newInstead
	case len(narrow) > 0:
		advice += ", or narrow it with WHERE " + strings.Join(narrow, ", ") +
			" or another = or IN (LIKE and LIMIT do not narrow what osquery reads)"
	}
	if t.Name == tables.Routes.Name {
		advice += countsInstead
	}
	if limit.from != MaxResponseVariable {
		advice += "; " + MaxResponseVariable + " in the environment sets another limit"
	}
	return fmt.Errorf("the answer would take about %s MB of osquery's memory (%s rows, %d columns), "+
		"over the limit of %s MB (%s): %s", thousands.Of(int(cost/mb)+1), thousands.Of(rows), columns,
		thousands.Of(int(limit.bytes/mb)), limit.from, advice)
}

// countsInstead is what to do where routes are read only to be counted.
var countsInstead = "; " + tables.Counts.Name + " has their number by family, table, protocol and others"

// newInstead is what to do where there are many changes.
const newInstead = "select fewer columns, or ask for what is new: WHERE seq > NUMBER, or time >= SECONDS; = and IN " +
	"narrow it too (LIKE and LIMIT do not narrow what osquery reads)"
