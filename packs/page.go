package packs

import (
	"fmt"
	"slices"
	"strings"
)

// A Matrix says of every check of a policy and every host how many rows there were: on the
// healthy host, and after attacks on it.
type Matrix struct {
	Hosts []string
	Cells map[string]map[string]Cell // by check, by host
}

// A Cell is what a check did on a host and its attacked copies.
type Cell struct {
	Rows    int // on the healthy host
	Attacks int // that were made
	Found   int // of which exactly the rows at fault were found

	Requests, Sent int // to the extension and rows of its answers, on the healthy host
}

// String is how the page shows it.
func (c Cell) String() string {
	s := "-"
	if c.Rows > 0 {
		s = fmt.Sprintf("**%d**", c.Rows)
	}
	if c.Attacks > 0 {
		s += fmt.Sprintf(", %d/%d", c.Found, c.Attacks)
	}
	return s
}

// Page returns README.md of the packs.
func Page(packs []*Pack, m Matrix) []byte {
	var b strings.Builder
	b.WriteString(introduction)
	for _, p := range packs {
		fmt.Fprintf(&b, "- [`%[1]s`](%[1]s.conf), for Fleet [fleet/%[1]s.yml](fleet/%[1]s.yml): %[2]s\n", p.Name,
			markdown(p.What))
	}
	b.WriteString(using)
	for _, p := range packs {
		p.page(&b)
	}
	writeLists(&b, packs)
	m.write(&b)
	return []byte(b.String())
}

// markdown returns a text on one line, in which nothing is a mark of Markdown but backquotes.
func markdown(text string) string { return marks.Replace(flat(text)) }

var marks = strings.NewReplacer("*", `\*`, "<", "&lt;", "|", `\|`)

const introduction = `# Packs

<!-- Made by go test ./packs -update from checks/, lists/ and what the tests measured. -->

`

const using = `
## Use them

osquery: copy the .conf files to /usr/share/osquery/packs and name them in osquery.conf:

` + "```json" + `
{
  "packs": {
    "route-inventory": "/usr/share/osquery/packs/route-inventory.conf",
    "route-drift": "/usr/share/osquery/packs/route-drift.conf",
    "route-compliance": "/usr/share/osquery/packs/route-compliance.conf"
  }
}
` + "```" + `

with ` + "`--extensions_require=kernel_routes`" + ` among the flags, so that no query comes before the
extension has registered. The packs have no discovery query: it would find no table right after
a start, and leave its pack asleep for an hour.

Fleet: ` + "`fleetctl apply -f packs/fleet/route-compliance.yml`" + `. For ` + "`fleetctl gitops`" + ` the same is
in lists, which a fleet's file names:

` + "```yaml" + `
policies:
  - path: ../packs/fleet/gitops/route-compliance.policies.yml
reports:
  - path: ../packs/fleet/gitops/route-compliance.reports.yml
  - path: ../packs/fleet/gitops/route-drift.reports.yml
` + "```" + `

Each check of route-compliance is a policy, which a host passes that has no such row, and a
query whose results are logged: the rows that are at fault.

A check whose row is meant gets it into a list (see [Lists](#lists)): edit the file in
` + "`lists/`" + `, and make the packs anew. A team that keeps its lists elsewhere names the folder, in
which a list takes the place of the one of the same name:

` + "```sh" + `
go run ./packs/generate --lists LISTS --to PACKS
` + "```" + `

Costs are wall times of a statement without osquery, on two cores and Linux 6.18; ` + "`go run ./bench -packs`" + `
measures them. Beside 1.2 million routes nearly all of it is the kernel's dump of them. Queries of changes
ask the extension for what it holds, whatever the routes: ` + "`go test ./packs -run XXX -bench EventChecks`" + `.

`

// page writes what is to be said of a pack's checks.
func (p *Pack) page(b *strings.Builder) {
	fmt.Fprintf(b, "## %s\n\n%s.\n\n| query | what | interval |\n|---|---|---|\n", p.Name, p.Title)
	for _, c := range p.Checks {
		name := "`" + c.Name + "`"
		if p.Policy {
			name = fmt.Sprintf("[%s](#%s)", name, c.Name)
		}
		fmt.Fprintf(b, "| %s | %s | %d s |\n", name, c.Title, c.Interval)
	}
	b.WriteString("\n")
	for _, c := range p.Checks {
		if p.Policy {
			c.page(b)
		} else {
			fmt.Fprintf(b, "`%s`: %s %s Cost: %s.", c.Name, markdown(c.Finds), markdown(c.Why), markdown(c.Cost))
			if c.FalseAlarms != "" {
				fmt.Fprintf(b, " False alarms: %s", markdown(c.FalseAlarms))
			}
			b.WriteString("\n\n")
		}
	}
}

func (c *Check) page(b *strings.Builder) {
	fmt.Fprintf(b, "### %s\n\n%s: %s\n\n", c.Name, c.Title, markdown(c.Finds))
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(b, "- **%s**: %s\n", what, text)
		}
	}
	line("Why", markdown(c.Why))
	line("Resolution", markdown(c.Resolution))
	line("Severity", string(c.Severity))
	line("ATT&CK", strings.Join(c.Attack, "; "))
	line("Asked by", strings.Join(c.AskedBy, "; "))
	line("Cost", markdown(c.Cost))
	line("False alarms", markdown(c.FalseAlarms))
	var lists []string
	for _, l := range c.Lists() {
		lists = append(lists, fmt.Sprintf("[%s](lists/%s.yml)", l.Name, l.Name))
	}
	line("Lists", strings.Join(lists, ", "))
	if !c.available() {
		line("Not in the packs yet", "it needs the table "+c.Needs)
	}
	b.WriteString("\n")
}

// writeLists writes what lists there are, and which checks use them.
func writeLists(b *strings.Builder, packs []*Pack) {
	users := map[*List][]string{}
	var lists []*List
	for _, p := range packs {
		for _, c := range p.Checks {
			for _, l := range c.Lists() {
				if users[l] == nil {
					lists = append(lists, l)
				}
				users[l] = append(users[l], c.Name)
			}
		}
	}
	slices.SortFunc(lists, func(a, b *List) int { return strings.Compare(a.Name, b.Name) })
	b.WriteString("## Lists\n\nEach is the one place where it is edited.\n\n| list | what | used by |\n|---|---|---|\n")
	for _, l := range lists {
		fmt.Fprintf(b, "| [%s](lists/%s.yml) | %s | %s |\n", l.Name, l.Name, markdown(l.What),
			strings.Join(users[l], ", "))
	}
	b.WriteString("\n")
}

// largest is the host on which it is told what a check asks for.
const largest = "kubernetes-node"

// write writes the matrix. Hosts are numbered, since their names would make it too wide.
func (m Matrix) write(b *strings.Builder) {
	b.WriteString("## Checks and hosts\n\nWhat the tests saw of every check on the hosts of " +
		"[testdata/hosts](../testdata/hosts): `-` no row on the healthy host, and `2/2` exactly the rows at fault " +
		"after two of two attacks ([testdata/attacks](../testdata/attacks)). The last column is what osquery asks on " +
		largest + ", which has the most routes of its own: requests to the extension, and rows that it is sent.\n\n")
	var checks []string
	for c := range m.Cells {
		checks = append(checks, c)
	}
	slices.Sort(checks)
	for i, h := range m.Hosts {
		fmt.Fprintf(b, "%d. [%s](../testdata/hosts/%s.sh)\n", i+1, h, h)
	}
	b.WriteString("\n| check |")
	for i := range m.Hosts {
		fmt.Fprintf(b, " %d |", i+1)
	}
	b.WriteString(" asks |\n|---|" + strings.Repeat("---|", len(m.Hosts)+1) + "\n")
	for _, c := range checks {
		fmt.Fprintf(b, "| %s |", c)
		for _, h := range m.Hosts {
			fmt.Fprintf(b, " %s |", m.Cells[c][h])
		}
		fmt.Fprintf(b, " %d, %d |\n", m.Cells[c][largest].Requests, m.Cells[c][largest].Sent)
	}
}
