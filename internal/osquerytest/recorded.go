package osquerytest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// A Recorded is SQL that was run in a real osqueryi, with the requests that it
// sent to an extension for it.
type Recorded struct {
	SQL   string
	Calls []struct {
		Table   string
		Request map[string]string
	}
}

// ReadRecorded reads a file with one Recorded in JSON a line.
func ReadRecorded(path string) (all []Recorded, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Buffer(nil, 1<<20); lines.Scan(); {
		var r Recorded
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, r)
	}
	return all, lines.Err()
}
