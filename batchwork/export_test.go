package batchwork

import (
	"path/filepath"
	"slices"
)

// EachCode calls do with every code that the batch wrote into files of codes, in the
// order of the parts.
func (f *Folder) EachCode(job string, do func(credential, form, text string) error) error {
	parts, err := f.parts(job)
	if err != nil {
		return err
	}
	for _, p := range parts {
		files, err := filepath.Glob(filepath.Join(p, "codes-*.csv"))
		if err != nil {
			return err
		}
		slices.Sort(files)
		for _, path := range files {
			if err := eachRow(path, 3, func(row []string) error { return do(row[0], row[1], row[2]) }); err != nil {
				return err
			}
		}
	}
	return nil
}
