package command

import (
	"regexp"
	"strings"
	"testing"
)

// notRun are the commands of documents that do not run here, and why. One that no document has
// any longer is to be taken out.
var notRun = []struct{ pattern, reason string }{
	{`^(CGO_ENABLED=0 )?go (build|test) `, "CI builds and tests: TestDocumentBuilds looks whether it means something"},
	{`^((GOTOOLCHAIN|GOPROXY|SOURCE_DATE_EPOCH)=\S+ )?go run \./release( |$)`, "builds packages: release tests it"},
	{`^go run \./internal/notice$`, "writes NOTICE, which its tests compare"},
	{`^go run \./internal/vmtest( |$)`, "starts virtual machines: its tests look what the arguments mean"},
	{`^git (tag --sign|clone --branch) `, "TestSigning of release runs them"},
	{`^go (-C release/tools )?mod download$`, "downloads: CI does with the first build"},
	{`^(gpg|minisign|\(cd dist|sha256sum) `, "TestSigning of release runs them"},
	{`^cosign sign-blob --bundle dist/SHA256SUMS\.sigstore\.json dist/SHA256SUMS$`,
		"needs a key, and a program that Debian does not have"},
	{`^\.ci/run$`, "is CI, which runs this"},
	{`^sudo (apt install|dnf install|zypper install --allow-unsigned-rpm|apk add --allow-untrusted) \./dist/\S+$`,
		"changes the host; TestReadme of release has the files, other tests of it install packages in folders"},
	{`^sudo install `, "changes the host: TestByHand in docs runs it in a folder"},
	{`^(install|\[ -z|grep -qxF|systemctl) `, "changes the host: TestByHand in docs runs them in a folder"},
	{`^pkill -f `, "would end the host's extension: TestPkill in docs looks whom it is for"},
	{`^docker build `, "needs Docker's daemon and osquery's package: TestDockerfile in docs looks at the arguments"},
	{`^fleetctl gitops (--dry-run )?-f default\.yml -f fleets/linux-servers\.yml$`, "needs a server of Fleet"},
	{`^fleetctl updates add --path REPOSITORY --target kernel_routes\.ext --name extensions/kernel_routes +` +
		`--platform linux --version \d+\.\d+\.\d+$`, "needs a TUF server"},
	{`^(kernel-routes|kernel_routes\.ext) monitor( |$)`, "does not end by itself: TestMonitor runs it"},
	{`^journalctl --unit kernel-routes-monitor `, "reads a host's journal: TestServiceRuns runs what writes it"},
	{`^(mkdir -p lib/|cp packs/fleet/|cp /usr/share/doc/)`, "TestLists in docs runs them, with the package's files"},
}

// TestDocumentCommands runs the commands of the documents' blocks for a shell that ask the tables.
// Every other one is one of notRun. TestDocuments runs those whose output is shown.
func TestDocumentCommands(t *testing.T) {
	sh := exampleShell(t)
	ran, used := 0, make([]int, len(notRun))
	for _, path := range documents(t) {
		for _, b := range blocksOf(t, path) {
			for _, line := range commandsOf(b) {
				if runs(line) {
					if b.language == "sh" {
						sh.run(t, line)
						ran++
					}
					continue
				}
				listed, bare := false, parse(line).bare
				for i, not := range notRun {
					if !listed && regexp.MustCompile(not.pattern).MatchString(bare) {
						listed = true
						used[i]++
					}
				}
				if !listed {
					t.Errorf("%s: it does not run here, and notRun does not say why: %s", b.place, bare)
				}
			}
		}
	}
	if ran < 2 {
		t.Errorf("%d commands", ran)
	}
	for i, not := range notRun {
		if used[i] == 0 {
			t.Errorf("no document has a command like %s", not.pattern)
		}
	}
}

// commandsOf returns the commands of a block, one that goes over several lines as one.
func commandsOf(b block) (commands []string) {
	if b.language != "sh" && b.language != "console" {
		return nil
	}
	open, until := "", ""
	for _, line := range b.lines {
		if until == "" {
			line = strings.TrimSpace(line)
		}
		prompted := strings.HasPrefix(line, "$ ")
		if open == "" && (line == "" || line[0] == '#' || b.language == "console" && !prompted) {
			continue
		}
		if prompted {
			line = line[2:]
		}
		open += line
		if head, more := strings.CutSuffix(open, `\`); more {
			open = head
			continue
		}
		if c := parse(open); c.open || c.until != "" && strings.TrimSpace(line) != c.until {
			until = c.until
			open += "\n"
			continue
		}
		commands = append(commands, open)
		open, until = "", ""
	}
	if open != "" {
		commands = append(commands, open)
	}
	return commands
}

// monitors is in commands that show changes until they are ended.
var monitors = regexp.MustCompile(`^\S+ monitor( |$)`)

// runs reports whether a command asks the tables, and does nothing else.
func runs(line string) bool {
	c := parse(line)
	if monitors.MatchString(line) {
		return false
	}
	asks := false
	for _, name := range c.programs {
		switch name {
		case exampleNames[0], exampleNames[1], "./kernel_routes.ext", "osqueryi", "go run .":
			asks = true
		case "echo", "head", "tail", "grep", "sort", "wc", "cut", "ssh", "tshark", "printf":
		default:
			return false
		}
	}
	return asks && !c.outside
}

// A parsed command line, as far as it has to be known here.
type parsed struct {
	bare       string   // the line without a comment at its end
	programs   []string // the first word of each command, without sudo and settings of variables
	open       bool     // a quotation goes on in the next line
	until      string   // the line that ends what << begins
	redirected bool     // the output goes to a file
	outside    bool     // to one that is not in this folder
}

var word = regexp.MustCompile(`^[^\s|&;()<>"'#]+`)

// parse finds the programs of a command line.
func parse(line string) (c parsed) {
	c.bare = line
	first := true // of a command
	for rest := line; rest != ""; {
		size := 1
		switch ch := rest[0]; {
		case ch == '\'' || ch == '"':
			end := strings.IndexByte(rest[1:], ch)
			if end < 0 {
				c.open = true
				return c
			}
			size = end + 2
			first = false
		case ch == '#' && (len(rest) == len(line) || strings.ContainsRune(" \t", rune(line[len(line)-len(rest)-1]))):
			if size = strings.IndexByte(rest, '\n'); size < 0 {
				c.bare = strings.TrimSpace(line[:len(line)-len(rest)])
				return c
			}
		case strings.ContainsRune("|&;(\n", rune(ch)):
			first = true
		case strings.HasPrefix(rest, "<<"):
			c.until = word.FindString(strings.TrimLeft(rest, "<- '\""))
			return c
		case ch == '>':
			target := word.FindString(strings.TrimLeft(rest, "> "))
			c.redirected = true
			c.outside = c.outside || strings.ContainsAny(target, "/~$") && target != "/dev/null"
		default:
			w := word.FindString(rest)
			size = max(1, len(w))
			if w == "" || !first || w == "sudo" || strings.Contains(w, "=") {
				break
			}
			if first = false; strings.HasPrefix(rest, "go run . ") {
				w = "go run ."
			}
			c.programs = append(c.programs, w)
		}
		rest = rest[size:]
	}
	return c
}

// TestParse tries what decides which commands are run: none that does more than to ask.
func TestParse(t *testing.T) {
	for line, want := range map[string]bool{
		`kernel-routes query "SELECT 1; rm x"`:                    true,
		`sudo kernel_routes.ext query 'SELECT 1' | head -n 1`:     true,
		`./kernel_routes.ext routes --json # rm's`:                true,
		`LC_ALL=C osqueryi --line "SELECT 1"`:                     true,
		`go run . query "SELECT 1"`:                               true,
		`echo "SELECT 1" | kernel-routes query > out.txt`:         true,
		`ssh router kernel_routes.ext capture - | tshark -r -`:    false,
		`kernel-routes completion bash > /etc/bash/x`:             false,
		`kernel-routes monitor --ipv4`:                            false,
		`kernel-routes query "SELECT 1" >>~/x`:                    false,
		`kernel-routes query "SELECT 1" && rm x`:                  false,
		`apt install kernel-routes`:                               false,
		`go run ./release`:                                        false,
		`echo /usr/lib/osquery/extensions/kernel_routes.ext >> x`: false,
		`(rm x); kernel-routes routes`:                            false,
	} {
		if got := runs(line); got != want {
			t.Errorf("%s: %v, %+v", line, got, parse(line))
		}
	}
	const text = "# c\na \\\n  b\n\nc \"d\ne\" # it's\ncat <<'X'\n# y\n z\nX\nf"
	b := block{language: "sh", lines: strings.Split(text, "\n")}
	want := "a b|c \"d\ne\" # it's|cat <<'X'\n# y\n z\nX|f"
	if got := strings.Join(commandsOf(b), "|"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
