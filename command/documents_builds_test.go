package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentBuilds: what documents say of go build and go test, which no test runs in a test, means
// something: there are these packages, with such tests and flags.
func TestDocumentBuilds(t *testing.T) {
	found := 0
	for _, path := range documents(t) {
		for _, b := range blocksOf(t, path) {
			for _, line := range commandsOf(b) {
				bare := parse(line).bare
				if !strings.HasPrefix(strings.TrimPrefix(bare, "CGO_ENABLED=0 "), "go ") {
					continue
				}
				found++
				if wrong := wrongBuild(t, bare); wrong != "" {
					t.Errorf("%s: %s: %s", b.place, bare, wrong)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("%d commands", found)
	}
}

// wrongBuild says what is wrong with a command for go, "" if nothing is.
func wrongBuild(t *testing.T, line string) string {
	t.Helper()
	// bash makes of it what it does for a reader: braces and quotation marks.
	typed := strings.TrimPrefix(line, "CGO_ENABLED=0 ")
	out, err := exec.Command("bash", "-c", `printf '%s\n' `+typed).CombinedOutput()
	if err != nil {
		return string(out)
	}
	words := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	switch words[1] {
	case "test":
	case "build":
		if rest := strings.Join(words[2:], " "); rest != "." && rest != "-o kernel_routes.ext ." {
			return "something else is built"
		}
		return ""
	default: // the tests of what is run have its flags
		return ""
	}
	var folders, flags []string
	pattern := ""
	for rest := words[2:]; len(rest) > 0; rest = rest[1:] {
		switch w := rest[0]; {
		case w == "-run" && len(rest) > 1:
			rest = rest[1:]
			pattern = rest[0]
		case w == "./..." || w == "-short" || w == "-v" || strings.HasPrefix(w, "-timeout="):
		case strings.HasPrefix(w, "-"):
			name, _, _ := strings.Cut(w[1:], "=")
			flags = append(flags, name)
		default:
			folders = append(folders, w)
		}
	}
	for _, folder := range folders {
		tests := testsOf(t, folder)
		for _, name := range strings.Split(pattern, "|") {
			if !regexp.MustCompile(`(?m)^func ` + name).MatchString(tests) {
				return folder + " has no test " + name
			}
		}
		for _, name := range flags {
			if !regexp.MustCompile(`flag\.(Bool|Duration)\("` + name + `"`).MatchString(tests) {
				return "the tests of " + folder + " have no flag -" + name
			}
		}
	}
	return ""
}

// testsOf returns the sources of a package's tests.
func testsOf(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// TestWrongBuild: what is spelt wrong is found.
func TestWrongBuild(t *testing.T) {
	for line, ok := range map[string]bool{
		"go test ./...":                                                       true,
		"CGO_ENABLED=0 go build .":                                            true,
		"go test ./command -run 'TestParse|TestDocument'":                     true,
		"go test ./rtnl/{conn,object} -update":                                true,
		"go test ./rtnl/{conn,nosuch} -update":                                false,
		"go test ./command -run 'TestParse|TestNoSuch'":                       false,
		"go test ./command -updat":                                            false,
		"go test ./internal/survival -run TestSoak -v -soak=20m -timeout=40m": true,
		"go test ./internal/survival -soaks=20m":                              false,
		"go test ./nosuch -run Test":                                          false,
		"go build -o kernel_routes .":                                         false,
	} {
		if wrong := wrongBuild(t, line); (wrong == "") != ok {
			t.Errorf("%s: %q", line, wrong)
		}
	}
}
