package extension

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"kernelroutes/internal/osquerytest"
	"kernelroutes/tables"
)

// requestTable has the columns of these tests.
var requestTable = &tables.Table{
	Name: "t",
	Columns: []tables.ColumnInfo{
		{Name: "dev", Type: tables.Text}, {Name: "dst", Type: tables.Text}, {Name: "metric", Type: tables.BigInt},
	},
}

func where(col int, op tables.Op, expr string) tables.Constraint {
	return tables.Constraint{Column: col, Op: op, Expr: expr}
}

func TestParseRequest(t *testing.T) {
	const dev, dst, metric = 0, 1, 2
	all, none := []bool{true, true, true}, []bool{false, false, false}
	for _, test := range []struct {
		name, context string
		constraints   []tables.Constraint
		used          []bool
	}{
		{"no context", ``, nil, all},
		{"empty", `{}`, nil, all},
		{"no colsUsed", `{"constraints":[]}`, nil, all},
		{"count(*)", `{"constraints":[{"name":"dev","list":[],"affinity":"TEXT"}],"colsUsed":[],"colsUsedBitset":0}`,
			nil, none},
		{"used", `{"constraints":[],"colsUsed":["metric","later"],"colsUsedBitset":4}`, nil,
			[]bool{false, false, true}},
		{"IN", `{"constraints":[{"name":"dev","list":[{"op":2,"expr":"a"},{"op":2,"expr":"b"}]}],"colsUsed":[]}`,
			[]tables.Constraint{where(dev, tables.Equals, "a"), where(dev, tables.Equals, "b")}, none},
		{"every operator", `{"constraints":[{"name":"metric","list":[{"op":4,"expr":"1"},{"op":8,"expr":"2"},` +
			`{"op":16,"expr":"3"},{"op":32,"expr":"4"},{"op":2,"expr":""}]}]}`,
			[]tables.Constraint{where(metric, tables.GreaterThan, "1"), where(metric, tables.LessOrEqual, "2"),
				where(metric, tables.LessThan, "3"), where(metric, tables.GreaterOrEqual, "4"),
				where(metric, tables.Equals, "")}, all},
		{"LIMIT and OFFSET are on the first column",
			`{"constraints":[{"name":"dev","list":[{"op":73,"expr":"1"},{"op":74,"expr":"2"}]}]}`, nil, all},
		{"operators that mean nothing", `{"constraints":[{"name":"dev","list":[{"op":64,"expr":"x"},` +
			`{"op":65,"expr":"x"},{"op":66,"expr":"x"},{"op":67,"expr":"x"},{"op":68,"expr":"x"},` +
			`{"op":1,"expr":"x"},{"op":3,"expr":"x"},{"op":2,"expr":"y"}]}]}`,
			[]tables.Constraint{where(dev, tables.Equals, "y")}, all},
		{"a column of another version", `{"constraints":[{"name":"later","list":[{"op":2,"expr":"x"}]}]}`, nil, all},
		{"osquery before 3.0", `{"constraints":[{"name":"dst","list":[{"op":"2","expr":"x"}],"affinity":"TEXT"},` +
			`{"name":"dev","list":"","affinity":"TEXT"}]}`,
			[]tables.Constraint{where(dst, tables.Equals, "x")}, all},
		{"an operator that is no number", `{"constraints":[{"name":"dst","list":[{"op":"=","expr":"x"},{"op":{},` +
			`"expr":"y"},{"op":2.5,"expr":"y"}]}]}`, nil, all},
		{"bytes that JSON loses", "{\"constraints\":[{\"name\":\"dev\",\"list\":[{\"op\":2,\"expr\":\"a\xff\"}," +
			"{\"op\":2,\"expr\":\"b\"},{\"op\":4,\"expr\":\"c\"}]}," +
			"{\"name\":\"dst\",\"list\":[{\"op\":2,\"expr\":\"d\"}]}]}",
			[]tables.Constraint{where(dev, tables.GreaterThan, "c"), where(dst, tables.Equals, "d")}, all},
		{"quotes", `{"constraints":[{"name":"dev","list":[{"op":2,"expr":"it's \"é\""}]}]}`,
			[]tables.Constraint{where(dev, tables.Equals, `it's "é"`)}, all},
	} {
		q, err := parseRequest(requestTable, test.context)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if !reflect.DeepEqual(q, tables.Query{Constraints: test.constraints, Used: test.used}) {
			t.Errorf("%s: %v, want %v %v", test.name, q, test.constraints, test.used)
		}
	}

	for context, want := range map[string]string{
		`{"constraints":[`:   "unexpected end of JSON input",
		`x`:                  "invalid character 'x'",
		`[]`:                 "cannot unmarshal array",
		`{"constraints":{}}`: "constraints",
		`{"colsUsed":7}`:     "number",
		`{"constraints":[{"name":"dev","list":[{"op":2,"expr":7}]}]}`: "expr",
		`{"constraints":[{"name":"dev","list":"x"}]}`:                 "string",
	} {
		if q, err := parseRequest(requestTable, context); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want an error with %q", context, q, err, want)
		}
	}
}

// Whatever osquery sends: only operators and columns that exist come out, and
// what has come out means the same when it is sent again.
func FuzzRequest(f *testing.F) {
	recorded, err := os.ReadFile("../../testdata/osquery-contexts.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(recorded)) {
		var l struct {
			Calls []struct{ Request map[string]string }
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			f.Fatal(err)
		}
		for _, c := range l.Calls {
			f.Add(c.Request["context"])
		}
	}
	f.Add(`{"constraints":[{"name":"dst","list":"","affinity":"TEXT"},` +
		`{"name":"metric","list":[{"op":"4","expr":"7"}]}],"colsUsed":""}`)
	f.Add("{\"constraints\":[{\"name\":\"dev\",\"list\":[{\"op\":2,\"expr\":\"\xff\"},{\"op\":2,\"expr\":\"x\"}]}]}")

	f.Fuzz(func(t *testing.T, context string) {
		sameAsJSON(t, context)
		q, err := parseRequest(requestTable, context)
		if err != nil {
			return
		}
		if context != "" && !json.Valid([]byte(context)) {
			t.Fatalf("%q was read", context)
		}
		if len(q.Used) != len(requestTable.Columns) {
			t.Fatalf("Used has %d columns", len(q.Used))
		}
		type item struct {
			Op   tables.Op `json:"op"`
			Expr string    `json:"expr"`
		}
		type list struct {
			Name string `json:"name"`
			List []item `json:"list"`
		}
		again := struct {
			Constraints []list   `json:"constraints"`
			ColsUsed    []string `json:"colsUsed"`
		}{ColsUsed: []string{}}
		for _, c := range q.Constraints {
			switch c.Op {
			case tables.Equals, tables.GreaterThan, tables.LessOrEqual, tables.LessThan, tables.GreaterOrEqual:
			default:
				t.Fatalf("operator %d", c.Op)
			}
			if c.Column < 0 || c.Column >= len(requestTable.Columns) {
				t.Fatalf("column %d", c.Column)
			}
			if strings.ContainsRune(c.Expr, utf8.RuneError) || !utf8.ValidString(c.Expr) {
				t.Fatalf("expression %q is not what was asked for", c.Expr)
			}
			again.Constraints = append(again.Constraints, list{requestTable.Columns[c.Column].Name,
				[]item{{c.Op, c.Expr}}})
		}
		for col, used := range q.Used {
			if used {
				again.ColsUsed = append(again.ColsUsed, requestTable.Columns[col].Name)
			}
		}
		b, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if q2, err := parseRequest(requestTable, string(b)); err != nil || !reflect.DeepEqual(q2, q) {
			t.Fatalf("%s: %v, %v, want %v", b, q2, err, q)
		}
	})
}

// sameAsJSON compares what readContext reads with what encoding/json reads.
func sameAsJSON(t *testing.T, context string) {
	t.Helper()
	got, ok := readContext(context)
	if !ok {
		return
	}
	var all, want requestContext
	if err := json.Unmarshal([]byte(context), &all); err != nil {
		t.Fatalf("%s: %v", context, err)
	}
	want.ColsUsed = all.ColsUsed
	for _, c := range all.Constraints {
		if len(c.List) > 0 {
			want.Constraints = append(want.Constraints, c)
		}
	}
	if got.ColsUsed != nil && len(*got.ColsUsed) == 0 && want.ColsUsed != nil && len(*want.ColsUsed) == 0 {
		got.ColsUsed, want.ColsUsed = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: %v, want %v", context, got, want)
	}
}

// TestReadContext checks that what osqueryi sends is read without encoding/json.
func TestReadContext(t *testing.T) {
	all, err := osquerytest.ReadRecorded("../../testdata/osquery-contexts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, line := range all {
		for _, call := range line.Calls {
			calls++
			context := call.Request["context"]
			if _, ok := readContext(context); !ok {
				t.Errorf("%s: not read: %s", line.SQL, context)
			}
			sameAsJSON(t, context)
			// Damaged in any place it is either read alike or left to encoding/json.
			for i := calls % 7; i < len(context); i += 7 {
				for _, c := range []string{"", `"`, `\\`, " ", "0", "]", "}", ",", "\xff"} {
					if damaged := context[:i] + c + context[i+1:]; json.Valid([]byte(damaged)) {
						sameAsJSON(t, damaged)
					} else if _, ok := readContext(damaged); ok {
						t.Fatalf("read though it is no JSON: %s", damaged)
					}
				}
			}
		}
	}
}

// TestManyValues: a request has as many values as osquery can send, and no more that
// would take much memory.
func TestManyValues(t *testing.T) {
	values := func(value string) string {
		n := (maxRequest - 1000) / (len(value) + 1)
		return `{"constraints":[{"name":"dst","list":[` + strings.Repeat(value+",", n-1) + value +
			`],"affinity":"TEXT"}],"colsUsed":[]}`
	}
	if q, err := parseRequest(tables.Routes, values(`{"op":2,"expr":"x"}`)); err != nil ||
		len(q.Constraints) < 400_000 {
		t.Errorf("short values: %d, %v", len(q.Constraints), err)
	}
	if _, err := parseRequest(tables.Routes, values(`{}`)); !errors.Is(err, errTooLarge) {
		t.Errorf("empty values: %v", err)
	}
}
