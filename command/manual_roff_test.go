package command

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kernelroutes/internal/logging"
	"kernelroutes/rtnl/events"
	"kernelroutes/tables"
	"kernelroutes/tables/extension"
)

// What writes the man pages is here and not of cobra/doc: that takes help for Markdown, so
// that lists and their lines are lost, and has no EXIT STATUS, ENVIRONMENT or FILES.

// A roff is the source of a man page.
type roff struct{ strings.Builder }

// quoted makes a text one that is printed as it is.
var quoted = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`)

func (r *roff) line(s string) { r.WriteString(s + "\n") }

// text writes a paragraph, in lines that can be compared.
func (r *roff) text(s string) {
	line := ""
	for _, word := range append(strings.Fields(s), "") {
		if word == "" || len(line)+len(word) > 90 {
			if strings.HasPrefix(line, ".") {
				line = `\&` + line
			}
			if line != "" {
				r.line(line)
			}
			line = ""
		}
		line = strings.TrimSpace(line + " " + quoted.Replace(word))
	}
}

// item writes a paragraph with a head, which may have fonts.
func (r *roff) item(head, text string) {
	r.line(".TP")
	r.line(head)
	r.text(text)
}

func bold(s string) string   { return `\fB` + quoted.Replace(s) + `\fR` }
func italic(s string) string { return `\fI` + quoted.Replace(s) + `\fR` }

// listed is a line of a list in help: a name, and what it is.
var listed = regexp.MustCompile(`^  (\S.*?)  +(\S.*)$`)

// help writes a help text: paragraphs, and lists where lines are indented.
func (r *roff) help(s string) {
	for part := range strings.SplitSeq(s, "\n\n") {
		paragraph := ""
		for line := range strings.Lines(part) {
			if m := listed.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
				r.paragraph(paragraph)
				paragraph = ""
				r.item(bold(m[1]), m[2])
				continue
			}
			paragraph += line
		}
		r.paragraph(paragraph)
	}
}

// paragraph writes text that stands by itself. Behind a heading that goes without saying.
func (r *roff) paragraph(s string) {
	if s == "" {
		return
	}
	lines := strings.Split(strings.TrimSuffix(r.String(), "\n"), "\n")
	if !strings.HasPrefix(lines[len(lines)-1], ".S") {
		r.line(".PP")
	}
	r.text(s)
}

// examples writes lines as they are. One that is wider than a page goes on in the next: SQL
// may be broken anywhere between two words, a command with a backslash.
func (r *roff) examples(lines []string) {
	const width = 70
	r.line(".EX")
	for i, example := range lines {
		if i > 0 {
			r.line("")
		}
		indent, line, inSQL := "", "", false
		for word := range strings.FieldsSeq(example) {
			sql := !strings.HasPrefix(lines[0], commandName) || inSQL
			if line != "" && len(indent)+len(line)+len(word) > width {
				if !sql {
					line += ` \`
				}
				r.line(indent + quoted.Replace(line))
				line, indent = "", "    "
			}
			line = strings.TrimSpace(line + " " + word)
			inSQL = inSQL != (strings.Count(word, `"`)%2 == 1)
		}
		r.line(indent + quoted.Replace(line))
	}
	r.line(".EE")
}

func (r *roff) begin(title, section, manual string) {
	// Neither date nor version: pages are the same whenever they are made.
	r.line(`.\" Written by: go test ./command -run TestManual -update`)
	title = quoted.Replace(strings.ToUpper(title))
	fmt.Fprintf(r, ".TH %s %s \"\" \"%s\" \"%s\"\n", title, section, commandName, manual)
	// Names are looked for: none is hyphenated. groff has that anew in each paragraph, from HY.
	r.line(".nh")
	r.line(".nr HY 0")
	r.line(".ad l")
}

// seeAlso writes names of pages with their sections.
func (r *roff) seeAlso(pages ...string) {
	r.line(".SH SEE ALSO")
	for i, page := range pages {
		name, section, _ := strings.Cut(page, " ")
		comma := ","
		if i == len(pages)-1 {
			comma = ""
		}
		fmt.Fprintf(r, ".BR %s (%s)%s\n", quoted.Replace(name), section, comma)
	}
}

// exitStatus splits help into what is said of exit statuses and the rest.
func exitStatus(long string) (rest, status string) {
	const head = "Exit status: "
	parts := strings.Split(long, "\n\n")
	parts = slices.DeleteFunc(parts, func(part string) bool {
		if strings.HasPrefix(part, head) {
			status = strings.TrimPrefix(part, head)
			return true
		}
		return false
	})
	return strings.Join(parts, "\n\n"), status
}

// exitNumber is where what is said of an exit status begins.
var exitNumber = regexp.MustCompile(`\d+ if\s`)

// commandPage is the page of a command.
func commandPage(cmd *cobra.Command) string {
	var r roff
	root, name := cmd.Root(), strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	r.begin(name, "1", "User Commands")
	r.line(".SH NAME")
	if cmd == root {
		name += ", " + extensionName
	}
	r.line(quoted.Replace(name) + ` \- ` + quoted.Replace(strings.ToLower(cmd.Short[:1])+cmd.Short[1:]))
	r.line(".SH SYNOPSIS")
	if cmd == root {
		fmt.Fprintf(&r, "%s %s [%s]...\n.br\n", bold(commandName), italic("COMMAND"), italic("ARGUMENT"))
		fmt.Fprintf(&r, "%s %s %s [%s]...\n", bold(extensionName), bold("--socket"), italic("path"), italic("OPTION"))
	} else {
		_, arguments, _ := strings.Cut(cmd.Use, " ")
		fmt.Fprintf(&r, "%s [%s]... %s\n", bold(cmd.CommandPath()), italic("OPTION"), italic(arguments))
	}
	r.line(".SH DESCRIPTION")
	long, _ := exitStatus(cmd.Long)
	r.help(long)
	if cmd == root {
		r.line(".SH COMMANDS")
		for _, sub := range cmd.Commands() {
			r.item(bold(sub.Name()), sub.Short+".")
		}
	}
	r.line(".SH OPTIONS")
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	cmd.LocalFlags().VisitAll(r.flag)
	r.line(".SH EXIT STATUS")
	_, status := exitStatus(root.Long)
	starts := append(exitNumber.FindAllStringIndex(status, -1), []int{len(status)})
	for i, start := range starts[:len(starts)-1] {
		number, text, _ := strings.Cut(status[start[0]:starts[i+1][0]], " ")
		r.item(bold(number), strings.TrimRight(text, ";,. \n"))
	}
	r.surroundings(cmd)
	r.line(".SH EXAMPLES")
	var lines []string
	for line := range strings.Lines(cmd.Example) {
		lines = append(lines, strings.TrimSpace(line))
	}
	r.examples(lines)
	r.pagesBeside(cmd)
	return r.String()
}

func (r *roff) flag(f *pflag.Flag) {
	if f.Hidden {
		return
	}
	value, text := pflag.UnquoteUsage(f)
	head := bold("--" + f.Name)
	if f.Shorthand != "" {
		head = bold("-"+f.Shorthand) + ", " + head
	}
	if value != "" && f.Value.Type() != "bool" {
		head += "=" + italic(value)
	}
	if f.DefValue != "" && f.DefValue != "false" {
		text += " (default " + f.DefValue + ")"
	}
	r.item(head, text)
}

// surroundings writes what of files and environment the command has to do with.
func (r *roff) surroundings(cmd *cobra.Command) {
	if !cmd.HasParent() {
		r.line(".SH ENVIRONMENT")
		r.item(bold(extension.MaxResponseVariable), "How much one answer to osquery may cost osquery in memory, "+
			"in MB; 0 for any. Where it is not set, the limit is that of osquery's watchdog.")
		r.item(bold(eventsVariable), fmt.Sprintf("How much of what has changed the extension keeps for "+
			"kernel_route_events, in MiB; 0 for nothing: then it follows no changes. Where it is not set, %d.",
			events.MaxBytes>>20))
		r.item(bold(netnsVariable), "0: the extension shows no network namespace but its own, and gives up the right "+
			"to enter others. A query that asks for one fails.")
		r.item(bold(confineVariable), "0: the extension keeps all the rights that it was started with. Otherwise it "+
			"gives up what it has no use for: capabilities, and system calls.")
		r.item(bold(logging.Variable), "How to log: text or json, and the least level: debug, info, warn or error, "+
			"with a comma between. Where it is not set, text of warnings and errors. With json the messages of "+
			"commands are lines of JSON too.")
		r.item(bold("NO_COLOR"), "At a terminal, no colors if it is not empty.")
		r.item(bold("PAGER"), "The program that shows what is printed with --pager, less where it is not set.")
		r.item(bold("XDG_STATE_HOME"), "Where the prompt of query keeps what was typed, in kernel-routes/history; "+
			"~/.local/state where it is not set.")
		r.item(bold("KERNEL_ROUTES_RESTART"), "Read only by the package's scripts, from the environment or "+
			"/etc/default/kernel-routes: 1 has a running osqueryd or orbit restarted where there is something new "+
			"for it. Otherwise they only say how to.")
		r.item(bold("KERNEL_ROUTES_REGISTER"), "Likewise: 0 leaves the two lists of extensions (see FILES) alone.")
	}
	if cmd.Name() == "spec" {
		return // it reads nothing
	}
	r.line(".SH FILES")
	if !cmd.HasParent() {
		r.item(italic(installed), "The program under the name that osquery wants.")
		r.item(italic("/usr/bin/"+commandName), "A link to it.")
		r.item(italic("/etc/osquery/extensions.load"),
			"The extensions that osqueryd starts, the path of one in each line.")
		r.item(italic("/opt/orbit/extensions.load"), "The same of Fleet's agent.")
		r.item(italic("/usr/share/osquery/packs/route-*.conf"), "Packs of queries for osqueryd.")
	}
	r.item(italic("/etc/iproute2/rt_tables")+", "+italic("/etc/iproute2/rt_tables.d/*.conf"),
		"Names of routing tables, and beside them rt_protos, rt_scopes and rt_realms. "+
			"Those in /usr/share/iproute2 and /usr/lib/iproute2 hold where there are none.")
}

// pagesBeside writes which pages to read on.
func (r *roff) pagesBeside(cmd *cobra.Command) {
	var pages []string
	if cmd.HasParent() {
		pages = append(pages, commandName+" 1")
	}
	for _, c := range cmd.Root().Commands() {
		if c != cmd {
			pages = append(pages, commandName+"-"+c.Name()+" 1")
		}
	}
	r.seeAlso(append(pages, "kernel_routes 7", "ip-route 8", "ip-rule 8", "rtnetlink 7")...)
}

// tablesPage is the page of all tables.
func tablesPage() string {
	var r roff
	r.begin("kernel_routes", "7", "Tables")
	r.line(".SH NAME")
	var names []string
	for _, t := range tables.All() {
		names = append(names, t.Name)
	}
	r.line(quoted.Replace(strings.Join(names, ", ")) + ` \- the routing state of the Linux kernel as SQL tables`)
	r.line(".SH DESCRIPTION")
	r.text("The extension kernel_routes has these tables in osquery, and kernel-routes query has them without it. " +
		"What they show is what the kernel tells over RTNetlink at the moment of the query. kernel_route_events " +
		"shows what it has told since the extension was started: without osquery, kernel-routes monitor shows the " +
		"same as it comes, and query --from what a capture with --follow has.")
	r.paragraph("A TEXT column that has nothing to say is '', an INTEGER or BIGINT one NULL. What is 1 if something " +
		"holds is 0 if not. A hidden column is shown where it is named, and is not in SELECT *. A required one " +
		"needs a condition with = or IN.")
	for _, t := range tables.All() {
		r.line(".SH TABLE " + quoted.Replace(t.Name))
		r.text(t.Description)
		r.line(".SS Columns")
		hidden := func(c tables.ColumnInfo) int { return int(c.Options & tables.Hidden) }
		columns := slices.Clone(t.Columns)
		slices.SortStableFunc(columns, func(a, b tables.ColumnInfo) int { return cmp.Compare(hidden(a), hidden(b)) })
		for _, c := range columns {
			r.item(bold(c.Name)+" ("+string(c.Type)+marked(c)+")", c.Description+".")
		}
		r.line(".SS Examples")
		for _, e := range t.Examples {
			r.paragraph(e.Shows)
			r.examples([]string{e.SQL})
		}
	}
	r.seeAlso(commandName+" 1", commandName+"-query 1", commandName+"-monitor 1", commandName+"-spec 1", "ip-route 8",
		"ip-rule 8", "ip-nexthop 8", "rtnetlink 7")
	return r.String()
}

// marked is what a reader has to know of a column beside its type.
func marked(c tables.ColumnInfo) (marks string) {
	if c.Options&tables.Required != 0 {
		marks += ", required"
	}
	if c.Options&tables.Hidden != 0 {
		marks += ", hidden"
	}
	return marks
}
