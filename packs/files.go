package packs

import (
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
// name.
func WithLists(files, lists fs.FS) fs.FS { return overlay{files, lists} }

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
