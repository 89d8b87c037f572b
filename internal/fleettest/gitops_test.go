package fleettest

import (
	"strings"
	"testing"
)

const list = `# For fleetctl gitops.
- name: Traffic of tunnels goes through them
  platform: linux
  query: SELECT 1;
  critical: true
- name: Another
  query: SELECT 2;
`

func TestParseList(t *testing.T) {
	got, err := ParseList("policy", "l.yml", []byte(list))
	if err != nil || len(got) != 2 || got[0].Spec.Name != "Traffic of tunnels goes through them" ||
		!got[0].Spec.Critical || got[1].Line != 6 || got[1].Kind != "policy" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, test := range []struct{ kind, old, new, want string }{
		{"policy", "critical: true", "tags: a", "l.yml:2: tags is a key that fleetctl gitops refuses"},
		{"policy", "critical: true", "interval: 60", "additional properties 'interval'"},
		{"report", "critical: true", "interval: 60m", "l.yml:2: report spec.interval: got string, want integer"},
		{"policy", "name: Another", "name: Traffic of tunnels goes through them", "is that of l.yml, line 2, already"},
		{"policy", "SELECT 2", "SELECT '$HOME'", "l.yml:6: query has a dollar"},
		{"policy", "  query: SELECT 2;\n", "", "missing property 'query'"},
		{"policy", "- name: Another", "---\n- name: Another", "--- in a list"},
		{"policy", list, "apiVersion: v1\nkind: policy\n", "no list with something in it"},
		{"policy", list, "[]", "no list with something in it"},
		{"policy", list, "", "no list with something in it"},
		{"policy", list, "- text\n", "cannot unmarshal"},
		{"policy", "- name: Another", "\t- name: Another", "found a tab"},
	} {
		changed := strings.Replace(list, test.old, test.new, 1)
		if changed == list {
			t.Fatalf("%q is not in the list", test.old)
		}
		if _, err := ParseList(test.kind, "l.yml", []byte(changed)); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, not %q", test.new, err, test.want)
		}
	}
}
