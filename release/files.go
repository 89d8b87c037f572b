package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// needed are files without which there is no release: others have to have them, or documents lead to them.
var needed = []string{
	"LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "SECURITY.md", "packs/README.md",
	"docs/command.md", "docs/fleet.md", "docs/memory.md", "docs/osquery.md", "docs/release.md",
	"docs/tables/*.md", "docs/examples/*", "docs/man/*.1", "docs/man/*.7", "packs/*.conf", "packs/fleet/*.yml",
}

// layOut makes the files that are the same for all architectures, below work/files, as packages and
// archives have them: with modes and times that do not depend on the checkout.
//
//	doc/          README.md, LICENSE and the rest, with docs/ and packs/ beside them so that links lead somewhere
//	packs/        *.conf
//	man1/, man7/  compressed manual pages
//	bash/, zsh/, fish/
//	deb/          what only Debian has
//	release/scripts/
func (b *build) layOut(program string) error {
	for _, pattern := range needed {
		found, err := filepath.Glob(filepath.Join(b.dir, pattern))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("%s is missing: packages have it", pattern)
		}
	}
	for _, step := range []func() error{
		b.layOutDocs, b.layOutManual, b.layOutCompletions, b.layOutDebian, b.layOutScripts,
		func() error { return b.askSQLite(program) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return b.settle(b.file(""))
}

// file is the path of a file that was laid out.
func (b *build) file(name string) string { return filepath.Join(b.work, "files", name) }

func (b *build) layOutDocs() error {
	names := []string{"LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "SECURITY.md", "packs/README.md"}
	packs, err := filepath.Glob(filepath.Join(b.dir, "packs/*.conf"))
	if err != nil {
		return err
	}
	for _, pack := range packs {
		if err := b.copy("packs/"+filepath.Base(pack), "packs/"+filepath.Base(pack)); err != nil {
			return err
		}
	}
	for _, dir := range []string{"docs", "packs/fleet"} {
		err := filepath.WalkDir(filepath.Join(b.dir, dir), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				if err == nil && d.Name() == "man" {
					return fs.SkipDir // installed where man looks for them
				}
				return err
			}
			if path.Ext(file) == ".go" {
				return nil // a test of the documents
			}
			if name, err := filepath.Rel(b.dir, file); err != nil {
				return err
			} else {
				names = append(names, filepath.ToSlash(name))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	installed := map[string]bool{}
	for _, name := range names {
		for ; name != "."; name = path.Dir(name) {
			installed[name] = true
		}
	}
	for _, name := range names {
		if err := b.copyDoc(name, installed); err != nil {
			return err
		}
	}
	// Distributions have examples there.
	return os.Symlink("docs/examples", b.file("doc/examples"))
}

// link matches a link in Markdown: [text](file#part).
var link = regexp.MustCompile(`\[([^\[\]]*)\]\(([^()#\s]*)(#[^()\s]*)?\)`)

// copyDoc copies a file. Links of a document to files that are only in the repository become text.
func (b *build) copyDoc(name string, installed map[string]bool) error {
	if path.Ext(name) != ".md" {
		return b.copy(name, "doc/"+name)
	}
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		return err
	}
	text = link.ReplaceAllFunc(text, func(whole []byte) []byte {
		m := link.FindSubmatch(whole)
		to := string(m[2])
		if to == "" || strings.Contains(to, ":") || installed[path.Join(path.Dir(name), to)] {
			return whole
		}
		return m[1]
	})
	return write(b.file("doc/"+name), text, 0o644)
}

func (b *build) copy(from, to string) error {
	from = filepath.Join(b.dir, from)
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	return write(b.file(to), data, mode)
}

func (b *build) layOutManual() error {
	for _, section := range []string{"1", "7"} {
		pages, err := filepath.Glob(filepath.Join(b.dir, "docs/man/*."+section))
		if err != nil {
			return err
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				return err
			}
			if err := write(b.file("man"+section+"/"+filepath.Base(page)+".gz"), compress(text), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *build) layOutCompletions() error {
	for from, to := range map[string]string{
		"kernel-routes.bash": "bash/kernel-routes", "kernel-routes.zsh": "zsh/_kernel-routes",
		"kernel-routes.fish": "fish/kernel-routes.fish",
	} {
		if err := b.copy("command/completion/"+from, to); err != nil {
			return err
		}
	}
	return nil
}

// layOutScripts copies the scripts that packages run: apk keeps their modes and times.
func (b *build) layOutScripts() error {
	scripts, err := filepath.Glob(filepath.Join(b.dir, "release/scripts/*"))
	if err != nil {
		return err
	}
	for _, script := range scripts {
		data, err := os.ReadFile(script)
		if err != nil {
			return err
		}
		if err := write(b.file("release/scripts/"+filepath.Base(script)), data, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// overrides are what lintian, Debian's judge of packages, need not find.
const overrides = `# A program in Go has no libraries to link, and runs on every release of every distribution.
kernel-routes: statically-linked-binary [usr/lib/osquery/extensions/kernel_routes.ext]
# That of Apache Thrift, which goes on after the text that is common.
kernel-routes: copyright-file-contains-full-apache-2-license
# Nobody has asked Debian for the package.
kernel-routes: initial-upload-closes-no-bugs *
`

// layOutDebian makes what Debian's policy asks for: a copyright file that leads to the common licence, the
// changelog, compressed, and one of the package.
func (b *build) layOutDebian() error {
	notice, err := os.ReadFile(filepath.Join(b.dir, "NOTICE"))
	if err != nil {
		return err
	}
	changelog, err := os.ReadFile(filepath.Join(b.dir, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	const licence = "On Debian systems the Apache License, Version 2.0 is in /usr/share/common-licenses/Apache-2.0.\n\n"
	packaged := fmt.Sprintf("kernel-routes (%s-%s) unstable; urgency=medium\n\n  * What is new is in changelog.gz.\n\n"+
		" -- %s  %s\n", b.version.deb(), b.release, maintainer, b.date.Format(time.RFC1123Z))
	for name, data := range map[string][]byte{
		"overrides":           []byte(overrides),
		"copyright":           append([]byte(licence), notice...),
		"changelog.gz":        compress(changelog),
		"changelog.Debian.gz": compress([]byte(packaged)),
	} {
		if err := write(b.file("deb/"+name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// settle gives files the date of the commit, and folders their mode, whatever the umask is.
func (b *build) settle(dir string) error {
	return filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		if d.IsDir() {
			if err := os.Chmod(file, 0o755); err != nil {
				return err
			}
		}
		return os.Chtimes(file, b.date, b.date)
	})
}

// compress compresses without a name and a time.
func compress(data []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	z.Write(data) // a buffer takes all
	z.Close()
	return b.Bytes()
}

// write writes a file with exactly this mode.
func write(file string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, data, mode); err != nil {
		return err
	}
	return os.Chmod(file, mode)
}
