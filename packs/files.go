package packs

import (
	"fmt"
	"io/fs"
	"path"
)

// Files returns what is made of packs for osquery and Fleet, by the path below packs/.
func Files(packs []*Pack) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, p := range packs {
		var err error
		if files[p.Name+".conf"], err = p.Conf(); err != nil {
			return nil, err
		}
		if files["fleet/"+p.Name+".yml"], err = p.Fleet(); err != nil {
			return nil, err
		}
		policies, reports, err := p.GitOps()
		if err != nil {
			return nil, err
		}
		if policies != nil {
			files["fleet/gitops/"+p.Name+".policies.yml"] = policies
		}
		files["fleet/gitops/"+p.Name+".reports.yml"] = reports
	}
	return files, nil
}

// WithLists returns files in which those of a folder take the place of the lists of the same
// name. A file that takes the place of none is an error: its name may be misspelt.
func WithLists(files, lists fs.FS) (fs.FS, error) {
	own, err := fs.ReadDir(lists, ".")
	if err != nil {
		return nil, fmt.Errorf("read a team's lists: %w", err)
	}
	for _, f := range own {
		if _, err := fs.Stat(files, "lists/"+f.Name()); err != nil {
			return nil, fmt.Errorf("a team's list %s takes the place of none: %w", f.Name(), err)
		}
	}
	return overlay{files, lists}, nil
}

type overlay struct{ below, lists fs.FS }

// Open is fs.FS's.
func (o overlay) Open(name string) (fs.File, error) {
	if path.Dir(name) == "lists" {
		if f, err := o.lists.Open(path.Base(name)); err == nil {
			return f, nil
		}
	}
	return o.below.Open(name)
}
