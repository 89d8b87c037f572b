package command

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/ptytest"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/tables"
)

// completionHome makes a home with the program under both names in bin, its scripts, and
// a folder with files to complete, and returns it with the environment of a shell there.
func completionHome(t *testing.T) (home string, env []string) {
	t.Helper()
	home = t.TempDir()
	for _, dir := range []string{"bin", "other", "files/dir"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bin/" + commandName, "bin/" + extensionName, "other/" + commandName} {
		if err := os.Symlink(binary(t), filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a b.pcap", "x:y=z.pcap", "dir/in.pcap"} {
		if err := os.WriteFile(filepath.Join(home, "files", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script, _, status := command(t, nil, "completion", shell)
		if status != exitOK {
			t.Fatalf("completion %s: exit status %d", shell, status)
		}
		if err := os.WriteFile(filepath.Join(home, "script."+shell), []byte(script), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	env = []string{"PATH=" + home + "/bin:/usr/local/bin:/usr/bin:/bin", "TERM=dumb", "LC_ALL=C.UTF-8",
		"HISTFILE=/dev/null"}
	for _, name := range []string{"HOME", "ZDOTDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"} {
		env = append(env, name+"="+home)
	}
	return home, env
}

// typed is what is typed before and what stands in the line after a tab, as bash and zsh have it.
var typed = []struct{ before, bash, zsh string }{
	{"kernel-routes ro", "kernel-routes routes ", ""},
	{"kernel_routes.ext ro", "kernel_routes.ext routes ", ""},
	{"~/other/kernel-routes ro", "~/other/kernel-routes routes ", ""},
	{"../bin/kernel_routes.ext ro", "../bin/kernel_routes.ext routes ", ""},
	{"kernel-routes frob", "kernel-routes frob", ""},
	{"kernel-routes routes --table ma", "kernel-routes routes --table main ", ""},
	{"kernel-routes routes --table=ma", "kernel-routes routes --table=main ", ""},
	{"kernel-routes routes --table=main --su", "kernel-routes routes --table=main --summary ", ""},
	{"kernel-routes routes --table 'ma", "kernel-routes routes --table 'main' ", ""},
	{"kernel-routes routes x", "kernel-routes routes x", ""},
	{"kernel-routes mon", "kernel-routes monitor ", ""},
	{"kernel-routes monitor --table=ma", "kernel-routes monitor --table=main ", ""},
	{"kernel-routes monitor --si", "kernel-routes monitor --since-snapshot ", ""},
	{"kernel-routes query --js", "kernel-routes query --json", ""}, // or jsonl
	{"kernel-routes query --he", "kernel-routes query --he", ""},   // header, help
	{"kernel-routes query --format c", "kernel-routes query --format csv ", ""},
	{"kernel-routes query --format=c", "kernel-routes query --format=csv ", ""},
	{"kernel-routes query --format=json", "kernel-routes query --format=json", ""}, // or jsonl
	{"kernel-routes query --format=x", "kernel-routes query --format=x", ""},
	{"kernel-routes diff a", `kernel-routes diff a\ b.pcap `, ""},
	{"kernel-routes diff --table ma", "kernel-routes diff --table main ", ""},
	{`kernel-routes diff a\ b.pcap di`, `kernel-routes diff a\ b.pcap dir/`, ""},
	{`kernel-routes diff x y a`, `kernel-routes diff x y a`, ""},
	{"kernel-routes query --separator a", "kernel-routes query --separator a", ""},
	{"kernel-routes query a", "kernel-routes query a", ""},
	{`kernel-routes query "a`, `kernel-routes query "a`, ""},
	{`kernel-routes query "$(touch evil)" --fr`, `kernel-routes query "$(touch evil)" --from `, ""},
	{`kernel-routes query $(touch evil) --fr`, `kernel-routes query $(touch evil) --from `, ""},
	{"kernel-routes query \"`touch evil`", "kernel-routes query \"`touch evil`", ""},
	{"kernel-routes query --from a", `kernel-routes query --from a\ b.pcap `, ""},
	{"kernel-routes query --from=a", `kernel-routes query --from=a\ b.pcap `, ""},
	{"kernel-routes query --from \"a", `kernel-routes query --from "a b.pcap" `, ""},
	{"kernel-routes query --from x:", `kernel-routes query --from x:y\=z.pcap `,
		"kernel-routes query --from x:y=z.pcap "},
	{"kernel-routes query --from=x:y", `kernel-routes query --from=x:y\=z.pcap `,
		"kernel-routes query --from=x:y=z.pcap "},
	{"kernel-routes query --from=x:y=", `kernel-routes query --from=x:y=z.pcap `, ""},
	{"kernel-routes query --from a\\ b.pcap --li", `kernel-routes query --from a\ b.pcap --li`, ""}, // line, list
	{"kernel-routes capture di", "kernel-routes capture dir/", ""},
	{"kernel-routes capture dir/", "kernel-routes capture dir/in.pcap ", ""},
	{"kernel-routes capture x a", "kernel-routes capture x a", ""},
	{"kernel-routes --socket di", "kernel-routes --socket dir/", ""},
	{"kernel-routes spec kernel_nex", "kernel-routes spec kernel_nexthops ", ""},
	{"kernel-routes spec kernel_nexthops k", "kernel-routes spec kernel_nexthops k", ""},
	{"kernel-routes completion z", "kernel-routes completion zsh ", ""},
	{"kernel-routes help qu", "kernel-routes help query ", ""},
	{"kernel-routes routes > a", `kernel-routes routes > a\ b.pcap `, ""},
}

// TestBashCompletion types into a bash that has read nothing but the script, and into one
// with the package bash-completion.
func TestBashCompletion(t *testing.T) {
	for name, before := range map[string]string{
		"alone":                "",
		"strict":               "set -eu; set -o posix; shopt -s failglob nocasematch\n",
		"with bash-completion": "source " + bashLibrary + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home, env := completionHome(t)
			term := openBash(t, env, home, before)
			for _, test := range typed {
				if got := term.line(test.before+"\t\x18r", "\x15"); got != test.bash {
					t.Errorf("%s: %q, want %q", test.before, got, test.bash)
				}
			}
			for _, test := range [][2]string{ // bash's own completion
				{"kernel-routes show --from $HOME/files/a\\ b", `kernel-routes show --from $HOME/files/a\ b.pcap `},
				{"kernel-routes diff ${HOME}/files/a\\ b", `kernel-routes diff ${HOME}/files/a\ b.pcap `},
				{"kernel-routes show --from=$HOME/files/a\\ b", `kernel-routes show --from=$HOME/files/a\ b.pcap `},
				{"kernel-routes show --from $(>evil)/f", `kernel-routes show --from $(>evil)/f`},
				{"kernel-routes show --from $HOME/$(>evil)/f", `kernel-routes show --from $HOME/$(>evil)/f`},
			} {
				if got := term.line(test[0]+"\t\x18r", "\x15"); got != test[1] {
					t.Errorf("%s: %q, want %q", test[0], got, test[1])
				}
			}
			// The cursor is within a word: what comes after it stays.
			if got := term.line("kernel-routes routes --table=ma --ipv6\x1bb\x1bb\x06\t\x18r", "\x05\x15"); got !=
				"kernel-routes routes --table=maina --ipv6" {
				t.Errorf("in the middle: %q", got)
			}
			if got := term.line("kernel-routes rou --ipv6\x1bb\x02\x02\x02\x02\t\x18r", "\x05\x15"); got !=
				"kernel-routes routesu --ipv6" {
				t.Errorf("in the middle: %q", got)
			}
			term.end(home)
		})
	}
}

func TestZshCompletion(t *testing.T) {
	for name, load := range map[string]string{
		"sourced":    zshCompinit + "source ~/script.zsh\n",
		"options":    zshCompinit + "setopt ksh_arrays ksh_glob sh_word_split no_unset glob_subst\nsource ~/script.zsh\n",
		"in a file":  "mkdir ~/f && cp ~/script.zsh ~/f/_kernel-routes\nfpath=(~/f $fpath)\n" + zshCompinit,
		"other name": "mkdir ~/f && cp ~/script.zsh ~/f/_kr\nfpath=(~/f $fpath)\n" + zshCompinit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home, env := completionHome(t)
			term := openZsh(t, env, home, load)
			for _, test := range typed {
				want := test.zsh
				if want == "" {
					want = test.bash
				}
				if got := term.line(test.before+"\t\x18r", "\x15"); got != want {
					t.Errorf("%s: %q, want %q", test.before, got, want)
				}
			}
			term.end(home)
		})
	}
}

// TestFishCompletion asks fish what it would complete.
func TestFishCompletion(t *testing.T) {
	fish := needtest.Program(t, "fish")
	home, env := completionHome(t)
	for typed, want := range map[string][]string{
		"kernel-routes ro":                           {"routes"},
		"kernel_routes.ext ro":                       {"routes"},
		home + "/other/kernel-routes ro":             {"routes"},
		"kernel-routes routes --table ma":            {"main"},
		"kernel-routes routes --table=ma":            {"--table=main"},
		"kernel-routes query --js":                   {"--json", "--jsonl"},
		"kernel-routes query a":                      nil,
		"kernel-routes query \"a":                    nil,
		"kernel-routes query --separator a":          nil,
		"kernel-routes query --format c":             {"csv"},
		"kernel-routes query --format=c":             {"--format=csv"},
		"kernel-routes diff a":                       {"a b.pcap"},
		"kernel-routes diff x di":                    {"dir/"},
		"kernel-routes diff x y di":                  nil,
		"kernel-routes query (touch evil) --fr":      {"--from"},
		"kernel-routes query \"$(touch evil)\" --fr": {"--from"},
		"kernel-routes query --from a":               {"a b.pcap"},
		"kernel-routes query --from=a":               {"--from=a b.pcap"},
		// fish takes what comes after : for a file as well, whatever the command.
		"kernel-routes query --from x:":         {"x:a b.pcap", "x:dir/", "x:x:y=z.pcap", "x:y=z.pcap"},
		`kernel-routes query --from a\ b`:       {"a b.pcap"},
		"kernel-routes query --from ~/script.f": {"~/script.fish"},
		"kernel-routes query --from=~/script.f": {"--from=~/script.fish"},
		"kernel-routes capture di":              {"dir/"},
		"kernel-routes spec kernel_nex":         {"kernel_nexthops"},
		"kernel-routes completion z":            {"zsh"},
		"kernel-routes spec \"kernel_nex":       {"kernel_nexthops"},
		"kernel-routes query --from \"a":        {"a b.pcap"},
	} {
		cmd := exec.Command(fish, "--no-config", "-c", `source ~/script.fish; complete -C $argv[1]`, typed)
		var errs bytes.Buffer
		cmd.Env, cmd.Dir, cmd.Stderr = env, home+"/files", &errs
		out, err := cmd.Output()
		if err != nil || errs.Len() > 0 {
			t.Errorf("%s: %v, %s", typed, err, &errs)
		}
		var got []string
		for line := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			got = append(got, strings.ReplaceAll(word, `\`, ""))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
	if _, err := os.Stat(home + "/files/evil"); err == nil {
		t.Error("what was typed was run")
	}
}

// TestBashFunctions calls the function as bash does: with several answers, descriptions, and
// what is known of the line missing.
func TestBashFunctions(t *testing.T) {
	home, env := completionHome(t)
	var names []string
	for _, table := range tables.All() {
		names = append(names, table.Name)
	}
	// Names of tables may have characters that mean something to a shell.
	fake := "#!/bin/sh\nprintf \"$ANSWER\"\n"
	if err := os.Mkdir(home+"/fake", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(home+"/fake/"+commandName, []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	answer := func(lines string) string {
		return `kernel-routes() { echo a function; }; PATH=~/fake:$PATH; export ANSWER='` + lines + `'; `
	}
	const theirs = "_get_comp_words_by_ref() { : theirs; }\n" // of bash-completion, which stays as it is
	for script, want := range map[string]string{
		`call kernel-routes spec ''`: strings.Join(names, "\n"),
		`COMP_TYPE=63 call kernel-routes query --js`: "--json   (print a JSON array of objects with text values)\n" +
			"--jsonl  (print one JSON object a line)",
		`COMP_TYPE=63 COLUMNS=40 call kernel-routes query --js`: "--json   (print a JSON array of obje...\n" +
			"--jsonl  (print one JSON object a line)",
		`COMP_TYPE=9 call kernel-routes query --js`:                                         "--json\n--jsonl",
		`COMP_TYPE=37 call kernel-routes query --js`:                                        "--json\n--jsonl",
		`COMP_WORDS=(kernel-routes routes --table = ma) COMP_CWORD=4; _kernel_routes; show`: "main",
		`COMP_WORDS=(kernel-routes routes --table ma) COMP_CWORD=3; _kernel_routes; show`:   "main",
		`COMP_WORDBREAKS=' '; call kernel-routes routes --table=ma`:                         "--table=main",
		`COMP_WORDBREAKS=' '; call kernel-routes query --from=files/x:`:                     "--from=files/x:y=z.pcap",
		answer(`a;b\tc\n:4\n`) + `call kernel-routes routes --table a`:                      `a\;b`,
		answer(`a;b\tc\n:4\n`) + `call kernel-routes routes --table '"a'`:                   "",
		answer(`a;b\tc\n:4\n`) + `call kernel-routes routes --table b`:                      "",
		answer(`a\n:1\n`) + `call kernel-routes routes --table a`:                           "",
		answer(`a\n`) + `call kernel-routes routes --table f`:                               "",
		answer(`f\n:x[$(echo run >&2)]\n`) + `call kernel-routes routes --table f`:          "",
		`call some-alias ro`:           "routes",
		`PATH=; call kernel-routes ro`: "",
		`complete -p kernel-routes kernel_routes.ext`: "complete -F _kernel_routes kernel-routes\n" +
			"complete -F _kernel_routes kernel_routes.ext",
		`declare -F | grep -v ' _kernel_routes\| call$\| show$'; :`:                         "",
		theirs + `source ~/script.bash; declare -f _get_comp_words_by_ref | grep -c theirs`: "1",

		// What would have to be quoted is left out where a quote is typed, and what controls a terminal always.
		answer(`a;b\n:4\n`) + `call kernel-routes routes --table "'a"`:     "",
		answer(`a;b\n:4\n`) + `call kernel-routes routes --table "''a"`:    "",
		answer(`a-b\n:4\n`) + `call kernel-routes routes --table '"a'`:     "a-b",
		answer(`a\033b\nac\n:4\n`) + `call kernel-routes routes --table a`: "ac",

		// What is inserted is what all have in common: no half of what is quoted, no description.
		answer(`a(1\na;2\n:4\n`) + `COMP_TYPE=9 call kernel-routes x a`:                   "a\\(1\na\\;2\na",
		answer(`a(1\na;2\n:4\n`) + `COMP_TYPE=63 call kernel-routes x a`:                  "a\\(1\na\\;2",
		answer(`a\tx\na\ty\n:4\n`) + `COMP_TYPE=33 call kernel-routes x a`:                "a",
		answer(`abc\tx\nabcd\tx\n:4\n`) + `COMP_TYPE=33 COLUMNS=6 call kernel-routes x a`: "abc\nabcd",
	} {
		cmd := exec.Command("bash", "--norc", "--noprofile", "-c", `source ~/script.bash
show() { if ((${#COMPREPLY[@]})); then printf '%s\n' "${COMPREPLY[@]}"; fi; }
call() {
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
	COMP_POINT=${#COMP_LINE}
	_kernel_routes "$1" "${@: -1}" "${@: -2:1}"
	show
}
`+script)
		cmd.Env, cmd.Dir = env, home
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSuffix(string(out), "\n"); err != nil || got != want {
			t.Errorf("%s: %v, %q, want %q", script, err, got, want)
		}
	}
}

func TestCompletions(t *testing.T) {
	var wantTables []string
	for id, name := range iproute2.HostNames().Tables().All() {
		if id != 0 {
			wantTables = append(wantTables, fmt.Sprintf("%s\ttable %d\n", name, id))
		}
	}
	slices.Sort(wantTables)
	for args, want := range map[string]string{
		"routes|--table|":     strings.Join(slices.Compact(wantTables), "") + ":4\n",
		"routes|":             ":4\n",
		"query|":              ":4\n",
		"query|--from|":       ":0\n",
		"query|--from=":       ":0\n",
		"routes|--from|":      ":0\n",
		"capture|":            ":0\n",
		"capture|x|":          ":4\n",
		"diff|":               ":0\n",
		"diff|x|":             ":0\n",
		"diff|x|y|":           ":4\n",
		"diff|--table|":       strings.Join(slices.Compact(wantTables), "") + ":4\n",
		"query|--format|":     "pretty\njson\njsonl\ncsv\nline\nlist\n:4\n",
		"query|--format=l":    "line\nlist\n:4\n",
		"capture|--follow|":   ":4\n",
		"monitor|":            ":4\n",
		"monitor|--table|":    strings.Join(slices.Compact(wantTables), "") + ":4\n",
		"monitor|--netns|/":   ":0\n",
		"spec|kernel_route_e": "kernel_route_events\n:4\n",
		"--socket|":           ":0\n",
		"--timeout|":          ":4\n",
		"completion|":         "bash\nzsh\nfish\npowershell\n:4\n",
		"nothing|":            ":4\n",
	} {
		stdout, _, status := command(t, nil, append([]string{"__complete"}, strings.Split(args, "|")...)...)
		if status != exitOK || stdout != want {
			t.Errorf("%s: exit status %d, %q, want %q", args, status, stdout, want)
		}
	}
	stdout, _, _ := command(t, nil, "completion", "powershell")
	for _, name := range []string{commandName, extensionName} {
		if !strings.Contains(stdout, "Register-ArgumentCompleter -CommandName '"+name+"'") {
			t.Errorf("powershell completes nothing for %s", name)
		}
	}
}

// A terminal has a shell in it, which writes the line that it edits to the file lines in its
// home when \C-xr is typed.
type terminal struct {
	*ptytest.Terminal
	t     *testing.T
	lines string
	seen  int
}

func openTerminal(t *testing.T, env []string, home string, argv ...string) *terminal {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = env, home
	x := &terminal{Terminal: ptytest.Start(t, ptytest.Size{Rows: 50, Columns: 200}, cmd), t: t, lines: home + "/lines"}
	x.WaitFor(0, "ready>")
	return x
}

// bashLibrary is what the package bash-completion has bash read.
const bashLibrary = "/usr/share/bash-completion/bash_completion"

// openBash opens a terminal with a bash in it that has run something before it has read the script.
func openBash(t *testing.T, env []string, home, before string) *terminal {
	t.Helper()
	if _, err := os.Stat(bashLibrary); err != nil && strings.Contains(before, bashLibrary) {
		needtest.Missing(t, "the package bash-completion is not installed")
	}
	rc := before + `source ~/script.bash
PS1='ready>'
bind 'set bell-style none' 'set enable-bracketed-paste off'
bind -x '"\C-xr": printf "%s\n" "$READLINE_LINE" >> ~/lines'
cd ~/files
`
	if err := os.WriteFile(home+"/rc", []byte(rc), 0o644); err != nil {
		t.Fatal(err)
	}
	return openTerminal(t, env, home, "bash", "--noprofile", "--rcfile", home+"/rc", "-i")
}

// zshCompinit begins zsh's completion.
const zshCompinit = "autoload -Uz compinit && compinit -u -D\n"

// openZsh opens a terminal with a zsh in it that has loaded the script.
func openZsh(t *testing.T, env []string, home, load string) *terminal {
	t.Helper()
	zsh := needtest.Program(t, "zsh")
	rc := load + `PS1='ready>'
setopt no_beep no_always_last_prompt no_list_beep
report() { print -r -- "$BUFFER" >> ~/lines }
zle -N report
bindkey -e
bindkey '^Xr' report
bindkey '^I' complete-word
cd ~/files
`
	if err := os.WriteFile(home+"/.zshrc", []byte(rc), 0o644); err != nil {
		t.Fatal(err)
	}
	return openTerminal(t, env, home, zsh, "-o", "no_global_rcs", "-i")
}

// line types keys that end with \C-xr and returns the line that the shell has then. after
// takes it away.
func (x *terminal) line(keys, after string) string {
	x.t.Helper()
	x.Type(keys)
	x.seen++
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		b, _ := os.ReadFile(x.lines)
		if lines := strings.SplitAfter(string(b), "\n"); len(lines) > x.seen {
			x.Type(after)
			return strings.TrimSuffix(lines[x.seen-1], "\n")
		}
	}
	x.t.Fatalf("%q: no answer", keys)
	return ""
}

// end checks that nothing was run that was only typed.
func (x *terminal) end(home string) {
	x.t.Helper()
	if _, err := os.Stat(home + "/files/evil"); err == nil {
		x.t.Error("what was typed was run")
	}
}
