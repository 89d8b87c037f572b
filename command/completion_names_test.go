package command

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
)

// givenInterfaces and givenTables are names that somebody may have given, for a shell to run them.
var (
	givenInterfaces = []string{"plain0", "wg$(>evil)", "as(>evil)1", "as(>evil)2", "bs$(>evil)1", "bs$(>evil)2",
		"co`>evil`", "di;>evil", "er(1", "er;2", "fo!!", "gr'>evil'", `hi">evil"`, `io\;>evil`, "~root", "#hash",
		"k*", "né0", "op&>evil"}
	givenTables = "254 main\n77 blue$(>evil)\n78 li:ne=1\n79 li:ne=2\n80 ma;>evil\n81 twice\n82 twice\n83 es\x1bc\n"
)

// givenHome is a home as of completionHome in which interfaces, the tables of names.pcap and files have such
// names. When kernel-routes is run there, it writes its last argument to lines.
func givenHome(t *testing.T) (home string, env []string) {
	t.Helper()
	nstest.New(t)
	home, env = completionHome(t)
	for i, name := range givenInterfaces {
		nstest.IP(t, "link add "+name+" type veth peer name zz"+string(rune('a'+i)))
	}
	const capture = `mount -t tmpfs none /etc && mkdir /etc/iproute2 && printf %s "$1" > /etc/iproute2/rt_tables &&
		exec "$2" capture "$3"`
	cmd := exec.Command("unshare", "-m", "sh", "-c", capture, "sh", givenTables, binary(t), home+"/names.pcap")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"wg$(>evil)", "co`>evil`1", "co`>evil`2", "di;>evil", "fo!!"} {
		if err := os.WriteFile(filepath.Join(home, "files", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const logs = `#!/bin/sh
if [ "$1" = __complete ]; then exec ~/other/kernel-routes "$@"; fi
for last; do :; done
printf '%s\n' "$last" >> ~/lines
`
	program := home + "/bin/" + commandName
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte(logs), 0o755); err != nil {
		t.Fatal(err)
	}
	return home, env
}

// given is what is typed and the argument that the program gets when the line is run: without a quote, within one
// of either kind, and, of files, where bash cannot be told that they are files.
type given struct{ before, word, bare, quoted, bareOld, quotedOld string }

var givenTyped = []given{
	{before: "show --dev ", word: "pl", bare: "plain0", quoted: "plain0"},
	{before: "show --dev=", word: "pl", bare: "--dev=plain0", quoted: "--dev=plain0"},
	{before: "show --dev ", word: "wg", bare: "wg", quoted: "wg"},
	{before: "show --dev=", word: "wg", bare: "--dev=wg", quoted: "--dev=wg"},
	{before: "get --oif ", word: "wg", bare: "wg", quoted: "wg"},
	{before: "show --dev ", word: "as", bare: "as(>evil)", quoted: "as"},
	{before: "show --dev ", word: "bs", bare: "bs", quoted: "bs"},
	{before: "show --dev ", word: "co", bare: "co", quoted: "co"},
	{before: "show --dev ", word: "di", bare: "di;>evil", quoted: "di"},
	{before: "show --dev=", word: "di", bare: "--dev=di;>evil", quoted: "--dev=di"},
	{before: "show --dev ", word: "er", bare: "er", quoted: "er"}, // and no backslash, with which both go on
	{before: "show --dev ", word: "fo", bare: "fo", quoted: "fo"},
	{before: "show --dev ", word: "gr", bare: "gr", quoted: "gr"},
	{before: "show --dev ", word: "hi", bare: "hi", quoted: "hi"},
	{before: "show --dev ", word: "io", bare: "io", quoted: "io"},
	{before: "show --dev ", word: "~r", bare: "~root", quoted: "~r"},
	{before: "show --dev ", word: `\#`, bare: "#hash"},
	{before: "show --dev ", word: "k", bare: "k*", quoted: "k"},
	{before: "show --dev ", word: "n", bare: "né0", quoted: "né0"},
	{before: "show --dev ", word: "op", bare: "op&>evil", quoted: "op"},
	{before: "show --dev ", word: "''pl", bare: "plain0"},
	{before: "show --dev ", word: "'d'i", bare: "di"}, // quotes that are closed again
	{before: "show --dev ", word: `"w"g`, bare: "wg"},
	{before: "show --from ../names.pcap --table ", word: "bl", bare: "bl", quoted: "bl"},
	{before: "show --from ../names.pcap --table=", word: "bl", bare: "--table=bl", quoted: "--table=bl"},
	{before: "show --from ../names.pcap --table ", word: "li", bare: "li:ne=", quoted: "li:ne="},
	{before: "show --from ../names.pcap --table ", word: "ma;", quoted: "ma;"},
	{before: "show --from ../names.pcap --table ", word: `ma\;`, bare: "ma;>evil"},
	{before: "show --from ../names.pcap --table ", word: "tw", bare: "twice", quoted: "twice"},
	{before: "show --from ../names.pcap --table ", word: "es", bare: "es", quoted: "es"},
	{before: "show --from ", word: "wg", bare: "wg", quoted: "wg"},
	{before: "show --from ", word: "co", bare: "co", quoted: "co"},
	{before: "show --from ", word: "di;", quoted: "di;>evil", quotedOld: "di;"},
	{before: "show --from ", word: `di\;`, bare: "di;>evil"},
	{before: "show --from ", word: "fo", bare: "fo!!", quoted: "fo!!", bareOld: "fo", quotedOld: "fo"},
	{before: "show --from ", word: "a", bare: "a b.pcap", quoted: "a b.pcap", quotedOld: "a"},
	{before: "show --from ", word: "~/na", bare: "HOME/names.pcap"},
}

// runs completes a word after a quote, runs the line, and checks which argument the program got, and that the
// shell ran nothing else.
func (x *terminal) runs(before, quote, word, want string) {
	x.t.Helper()
	line := x.line(commandName+" "+before+quote+word+"\t\x18r", "")
	if !strings.HasSuffix(line, " ") {
		x.Type(quote) // which is still open
	}
	if got := x.line("\r", ""); got != want {
		x.t.Errorf("%s%s%s: %q, which is run as %q, want %q", before, quote, word, line, got, want)
	}
	if os.Remove(filepath.Dir(x.lines)+"/files/evil") == nil {
		x.t.Errorf("%s%s%s: %q runs what is in the name", before, quote, word, line)
	}
}

// TestBashGivenNames: what bash inserts is what the program gets, or nothing is inserted. No name is run.
func TestBashGivenNames(t *testing.T) {
	const old = "before bash 4"
	for name, before := range map[string]string{
		"alone":                "",
		"strict":               "set -u; shopt -s failglob nocasematch\n",
		"listed at once":       "bind 'set show-all-if-ambiguous on'\n",
		"with bash-completion": "source " + bashLibrary + "\n",
		old:                    "enable -n compopt\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home, env := givenHome(t)
			term := openBash(t, env, home, before)
			for _, g := range givenTyped {
				if name == old && g.bareOld != "" {
					g.bare = g.bareOld
				}
				if name == old && g.quotedOld != "" {
					g.quoted = g.quotedOld
				}
				if g.bare != "" {
					term.runs(g.before, "", g.word, strings.Replace(g.bare, "HOME", home, 1))
				}
				if g.quoted != "" {
					term.runs(g.before, `"`, g.word, g.quoted)
					term.runs(g.before, "'", g.word, g.quoted)
				}
			}
		})
	}
}

// TestZshGivenNames: zsh inserts all names whole.
func TestZshGivenNames(t *testing.T) {
	home, env := givenHome(t)
	term := openZsh(t, env, home, zshCompinit+"source ~/script.zsh\n")
	for _, quote := range []string{"", `"`, "'"} {
		for word, want := range map[string]string{"pl": "plain0", "wg": "wg$(>evil)", "bs": "bs$(>evil)",
			"co": "co`>evil`", "di": "di;>evil", "gr": "gr'>evil'",
			"io": `io\;>evil`, "k": "k*", "op": "op&>evil", "hi": `hi">evil"`} {
			term.runs("show --dev ", quote, word, want)
		}
		term.runs("show --from ../names.pcap --table ", quote, "bl", "blue$(>evil)")
		term.runs("show --from ", quote, "wg", "wg$(>evil)")
	}
}

// TestFishGivenNames: so does fish.
func TestFishGivenNames(t *testing.T) {
	fish := needtest.Program(t, "fish")
	home, env := givenHome(t)
	for typed, want := range map[string]string{
		"kernel-routes show --dev wg":                          `wg\$\(\>evil\)`,
		"kernel-routes show --dev co":                          "co`\\>evil`",
		"kernel-routes show --dev di":                          `di\;\>evil`,
		"kernel-routes show --dev gr":                          `gr\'\>evil\'`,
		"kernel-routes show --from ../names.pcap --table bl":   `blue\$\(\>evil\)`,
		"kernel-routes show --from ../names.pcap --table \"bl": `"blue\$(>evil)"`,
		"kernel-routes show --from ../names.pcap --table 'bl":  `'blue$(>evil)'`,
	} {
		cmd := exec.Command(fish, "--no-config", "-c", `source ~/script.fish; complete --escape -C $argv[1]`, typed)
		var errs bytes.Buffer
		cmd.Env, cmd.Dir, cmd.Stderr = env, home+"/files", &errs
		out, err := cmd.Output()
		got, _, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\t")
		if err != nil || errs.Len() > 0 || got != want {
			t.Errorf("%s: %v, %s, %q, want %q", typed, err, &errs, got, want)
		}
	}
	if _, err := os.Stat(home + "/files/evil"); err == nil {
		t.Error("a name was run")
	}
}

// TestCompleteGivenTables: the tables of a capture are completed, but for names that a terminal cannot be given.
func TestCompleteGivenTables(t *testing.T) {
	home, _ := givenHome(t)
	out, _, status := command(t, nil, "__complete", "show", "--from", home+"/names.pcap", "--table", "")
	if status != exitOK || !strings.Contains(out, "blue$(>evil)\ttable 77\n") || strings.Contains(out, "\x1b") {
		t.Errorf("exit status %d, %q", status, out)
	}
}
