package main

import (
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
	supersede              bool
}

func (o *order) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.programme, "programme", "", "the programme to issue under (required)")
	f.StringVar(&o.source, "source", "", "a source of the settings, or the path of a CSV file (default: the only source of the settings)")
	f.StringVar(&o.out, "out", "", "the folder to write to (required)")
	f.StringSliceVar(&o.forms, "form", []string{"png"}, "files for each code: text, png, svg (repeat for several)")
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
	if s.kinds, err = parseKinds(o.forms); err != nil {
		return s, err
	}
	if s.programme, err = a.programme(cmd, o.programme); err != nil {
		return s, err
	}
	s.source, err = a.source(o.source, s.programme)
	return s, err
}
