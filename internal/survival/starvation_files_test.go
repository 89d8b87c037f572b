package survival

import (
	"fmt"
	"strings"
	"testing"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
	"kernelroutes/tables"
)

// TestExtensionFiles starts the extension with few descriptors: it answers every table, or ends with a line
// before it has registered.
func TestExtensionFiles(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24")
	for files := 3; files <= 25; files++ {
		m := osquerytest.Start(t)
		x := exttest.Launch(t, m, fmt.Sprintf("ulimit -n %d", files))
		if files < 24 {
			if status, said := x.Wait(t), x.Stderr.String(); status != 1 || strings.Contains(said, "goroutine ") ||
				files >= 8 && !strings.Contains(said, "limit of open files") || said == "" {
				t.Errorf("%d: status %d, %s", files, status, said)
			}
			continue
		}
		if _, err := m.WaitRegistered(x.Context); err != nil {
			t.Fatalf("%d: %v\n%s", files, err, &x.Stderr)
		}
		for range 3 {
			for _, table := range tables.All() {
				var constraints []string
				if table == tables.Lookups {
					constraints = []string{"destination=10.0.0.2"}
				}
				rows := x.Generate(t, table.Name, constraints, table.Columns[3].Name)
				if len(rows) == 0 && table != tables.Events && table != tables.NexthopObjects {
					t.Errorf("%d: no rows of %s", files, table.Name)
				}
			}
		}
	}
}
