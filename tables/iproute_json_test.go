package tables_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// A jsonObject is a JSON object of ip with its members in order. ip prints an
// encap's fields among the route's own, so that a key may come twice.
type jsonObject []member

type member struct {
	key   string
	value any // string, json.Number, bool, nil, jsonObject, []any
}

// get returns the first member of that name.
func (o jsonObject) get(key string) any {
	for _, m := range o {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

func (o jsonObject) text(key string) string { return jsonText(o.get(key)) }

func jsonText(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// objects returns an array of objects.
func objects(v any) []jsonObject {
	var all []jsonObject
	for _, e := range v.([]any) {
		all = append(all, e.(jsonObject))
	}
	return all
}

func readJSON(d *json.Decoder) any {
	switch token, err := d.Token(); {
	case err != nil:
		panic(err)
	case token == json.Delim('{'):
		o := jsonObject{}
		for d.More() {
			key, _ := d.Token()
			o = append(o, member{key.(string), readJSON(d)})
		}
		d.Token()
		return o
	case token == json.Delim('['):
		a := []any{}
		for d.More() {
			a = append(a, readJSON(d))
		}
		d.Token()
		return a
	default:
		return token
	}
}

// ipJSON runs ip with arguments that make it print an array of objects.
func ipJSON(t testing.TB, args string) []jsonObject {
	t.Helper()
	cmd := exec.Command("ip", strings.Fields(args)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 || !json.Valid(out) {
		t.Fatalf("ip %s: %v\n%s%.2000s", args, err, &stderr, out)
	}
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	return objects(readJSON(d))
}
