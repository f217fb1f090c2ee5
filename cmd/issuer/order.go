package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// An order is what issue and batch are both told: issue what, from where, to
// which folder.
type order struct {
	programme, source, out string
	forms                  []string
	may                    []issuance.FileKind // what forms can name
	supersede              bool
}

// flags adds the order's flags to a command that can write these kinds of files.
func (o *order) flags(c *cobra.Command, kinds ...issuance.FileKind) {
	o.may = kinds
	f := c.Flags()
	f.StringVar(&o.programme, "programme", "", "the programme to issue under (required)")
	f.StringVar(&o.source, "source", "", "a source of the settings, or the path of a CSV file (default: the only source of the settings)")
	f.StringVar(&o.out, "out", "", "the folder to write to (required)")
	f.StringSliceVar(&o.forms, "form", []string{"png"}, "files for each code: "+listKinds(kinds)+" (repeat for several)")
	f.BoolVar(&o.supersede, "supersede", false, "replace credentials that records hold already")
	_ = c.MarkFlagRequired("programme")
	_ = c.MarkFlagRequired("out")
}

// A supply is what an order names, opened.
type supply struct {
	kinds     []issuance.FileKind
	programme *programme.Programme
	source    registry.Source
}

func (o *order) open(cmd *cobra.Command, a *app) (s supply, err error) {
	if s.kinds, err = o.kinds(); err != nil {
		return s, err
	}
	if s.programme, err = a.programme(cmd, o.programme); err != nil {
		return s, err
	}
	s.source, err = a.source(cmd.Context(), o.source, s.programme)
	return s, err
}

func listKinds(kinds []issuance.FileKind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

func (o *order) kinds() ([]issuance.FileKind, error) {
	var kinds []issuance.FileKind
	for _, f := range o.forms {
		k := issuance.FileKind(f)
		if !slices.Contains(o.may, k) {
			return nil, fmt.Errorf("--form %q: one of %s", f, listKinds(o.may))
		}
		kinds = append(kinds, k)
	}
	return kinds, nil
}
